"""What one server process tells of itself, put together from the settings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from bessemer.core.errors import MissingExtra
from bessemer.serve.batching import Lane, Observer
from bessemer.serve.telemetry.access_log import AccessLog
from bessemer.serve.telemetry.facts import ModelFacts, models_of
from bessemer.serve.telemetry.spec import OtlpSpec, TelemetrySpec
from bessemer.serve.wire import Request, Response

if TYPE_CHECKING:
    from bessemer.serve.app import Access, App
    from bessemer.serve.telemetry.otlp import Otlp


class Telemetry:
    """The access log and OpenTelemetry of one process. Made in the process itself: its threads are.

    observers: for the models' lanes; access: for the house, None where nobody listens.

    Raises:
        MissingExtra: OpenTelemetry is asked for and not installed.
        UsageError: its headers are not in the environment.
    """

    def __init__(self, spec: TelemetrySpec, scheme: str = "http") -> None:
        self._log = AccessLog(spec.access_log) if spec.access_log else None
        self._otlp = _otlp(spec.otlp, scheme) if spec.otlp else None
        tracing = self._otlp.tracing if self._otlp else None
        self.observers: tuple[Observer, ...] = (tracing,) if tracing else ()
        listeners: list[Access] = [each for each in (self._log, tracing) if each is not None]
        self.access: Access | None = _all(listeners)

    def watch(self, app: App) -> None:
        """Begin, when the models are loaded."""
        if self._otlp is None:
            return
        if self._otlp.tracing is not None:
            self._otlp.tracing.find = app.router.find

        def models() -> Iterable[ModelFacts]:
            lanes: Iterable[Lane] = app.models.lanes()
            return models_of(lanes)

        self._otlp.watch(models)

    @property
    def dropped(self) -> dict[str, int]:
        """What was lost, for `facts.ServerFacts.dropped`."""
        return {"access_log": self._log.dropped} if self._log else {}

    def close(self, wait: float = 5.0) -> None:
        """Write and send what is left, for about so many seconds at most."""
        if self._otlp is not None:
            self._otlp.close(wait)
        if self._log is not None:
            self._log.close(wait)


def _otlp(spec: OtlpSpec, scheme: str) -> Otlp:
    try:
        from bessemer.serve.telemetry.otlp import Otlp
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("opentelemetry"):
            raise
        raise MissingExtra("serve.telemetry.otlp", "opentelemetry-sdk", "otel") from None
    return Otlp(spec, scheme)


def _all(listeners: list[Access]) -> Access | None:
    if len(listeners) < 2:
        return listeners[0] if listeners else None

    def tell(request: Request, response: Response, address: str, client: str, seconds: float) -> None:
        for listener in listeners:
            listener(request, response, address, client, seconds)

    return tell
