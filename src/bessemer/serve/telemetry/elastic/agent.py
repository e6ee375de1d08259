"""Elastic's agent as a server wants it: it asks nobody, looks at no code that runs, and never says the same twice.

Of the agent's parts the client, its queue and its sender are used. Nothing is instrumented: which requests are told of
is decided before the agent hears of them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from elasticapm import Client
from elasticapm.conf import constants
from elasticapm.processors import for_events
from elasticapm.transport.http import Transport

from bessemer._version import __version__
from bessemer.core.errors import UsageError
from bessemer.core.redaction import hidden_in
from bessemer.serve.telemetry.spec import ElasticSpec

_LOG = logging.getLogger("bessemer.serve")

#: Events that may wait to be sent, of about a kilobyte each; beyond it they are lost, and counted.
MOST_WAITING = 4096
_SAY_EVERY = 60.0


class Sender(Transport):  # type: ignore[misc]  # the library is not looked into
    """The agent's sender, which counts what is lost and complains once a minute at most.

    dropped: events that were lost, because too many waited or the APM server did not take them.
    """

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.dropped = 0
        self._said = float("-inf")
        self._sent = 0

    def queue(self, event_type: str | None, data: Any, flush: bool = False) -> None:
        if data is not None and self._event_queue.qsize() >= MOST_WAITING:
            self.dropped += 1
            return
        super().queue(event_type, data, flush)

    def _flush(self, buffer: Any, forced_flush: bool = False) -> None:
        held, self._sent = sum(self._counts.values()) - self._sent, sum(self._counts.values())
        taken = self.state.should_try()
        super()._flush(buffer, forced_flush)
        if not taken or self.state.did_fail():
            self.dropped += held

    def close(self) -> None:
        """Send what waits. The agent's own `close` returns early where a batch was on its way."""
        thread, closed = self._thread, self._closed
        super().close()
        if thread is not None and not closed:
            thread.join()  # the caller waits as long as it likes: see `Elastic.close`

    def handle_transport_fail(self, exception: Exception | None = None, **settings: Any) -> None:
        self.state.set_fail()
        now = time.monotonic()
        if now - self._said >= _SAY_EVERY:
            self._said = now
            _LOG.warning(
                "the APM server takes no events (%s): %d lost so far", _short(exception), self.dropped
            )


class Agent(Client):  # type: ignore[misc]
    """The agent's client, whose events are scrubbed last, whatever the environment says of processors."""

    def load_processors(self) -> list[Callable[..., Any]]:
        return [*super().load_processors(), scrub]


@for_events(constants.TRANSACTION, constants.SPAN, constants.ERROR)  # type: ignore[untyped-decorator]
def scrub(client: Client, event: dict[str, Any]) -> dict[str, Any]:
    """An event without the variables of frames, headers, cookies, bodies, what a URL asks and secrets that were read.

    >>> scrub(None, {"context": {"request": {"method": "GET", "headers": {"authorization": "Bearer secret"}}}})
    {'context': {'request': {'method': 'GET'}}}
    """
    context = event.get("context") or {}
    for part in ("request", "response"):
        for name in ("headers", "cookies", "body", "env"):
            (context.get(part) or {}).pop(name, None)
    for name in ("search", "full", "raw", "hash"):
        ((context.get("request") or {}).get("url") or {}).pop(name, None)
    _without_variables(event)
    if "exception" in event:
        event["exception"] = hidden_in(event["exception"])
    return event


def _without_variables(event: dict[str, Any]) -> None:
    causes = [event.get("exception") or {}]
    frames = [*(event.get("stacktrace") or []), *((event.get("log") or {}).get("stacktrace") or [])]
    while causes:
        cause = causes.pop()
        frames += cause.get("stacktrace") or []
        causes += cause.get("cause") or []
    for frame in frames:
        frame.pop("vars", None)


def agent_of(spec: ElasticSpec) -> Agent:
    """The agent, running.

    Raises:
        UsageError: a setting or a variable of the environment is not one the agent takes.
    """
    # what the agent itself says of its server and its back-off is said by `Sender`
    logging.getLogger("elasticapm.transport").setLevel(logging.CRITICAL)
    for name in ("elasticapm.conf", "elasticapm.errors"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # its complaints are raised below
    agent = Agent(config=_given(spec), **_fixed())
    if agent.config.errors:
        faults = "; ".join(str(fault) for fault in agent.config.errors.values())
        agent.close()
        raise UsageError(
            "the Elastic APM agent cannot be set up", why=faults, fix="see `serve: telemetry: elastic`"
        )
    return agent


def _given(spec: ElasticSpec) -> dict[str, Any]:
    """What the project file says, before which the environment's ELASTIC_APM_* go."""
    given: dict[str, Any] = {
        "SERVER_URL": spec.server,
        "SERVICE_NAME": spec.service,
        "SERVICE_VERSION": __version__,
        "ENVIRONMENT": spec.environment,
        "METRICS_INTERVAL": f"{max(1, round(spec.interval))}s" if spec.metrics else "0s",
        "CENTRAL_CONFIG": False,
        "CLOUD_PROVIDER": "none",
        "COLLECT_LOCAL_VARIABLES": "off",
        "CAPTURE_BODY": "off",
        "CAPTURE_HEADERS": False,
    }
    return {name: value for name, value in given.items() if value is not None}


def _fixed() -> dict[str, Any]:
    return {
        "framework_name": "bessemer",
        "framework_version": __version__,
        "instrument": False,
        "breakdown_metrics": False,
        "disable_log_record_factory": True,
        "skip_server_info": True,
        "transport_class": f"{__name__}.Sender",
    }


def _short(error: Exception | None) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 300 else text[:299] + "…"
