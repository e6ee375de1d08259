"""What one server process tells of itself, put together from the settings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from bessemer.core.errors import MissingExtra
from bessemer.serve.batching import Lane, Observer
from bessemer.serve.telemetry.access_log import AccessLog
from bessemer.serve.telemetry.facts import ModelFacts, models_of
from bessemer.serve.telemetry.spec import ElasticSpec, OtlpSpec, TelemetrySpec
from bessemer.serve.wire import Request, Response

if TYPE_CHECKING:
    from bessemer.serve.app import Access, App
    from bessemer.serve.telemetry.elastic.elastic import Elastic
    from bessemer.serve.telemetry.otlp import Otlp


class Telemetry:
    """The access log, OpenTelemetry and Elastic APM of one process. Made in the process itself: its threads are.

    observers: for the models' lanes; access: for the house, None where nobody listens.

    Raises:
        MissingExtra: OpenTelemetry or Elastic APM is asked for and not installed.
        UsageError: the headers of the first are not in the environment, or the second takes no such setting.
    """

    def __init__(self, spec: TelemetrySpec, scheme: str = "http") -> None:
        self._log = AccessLog(spec.access_log) if spec.access_log else None
        self._otlp = _otlp(spec.otlp, scheme) if spec.otlp else None
        self._elastic = _elastic(spec.elastic) if spec.elastic else None
        tracing = self._otlp.tracing if self._otlp else None
        transactions = self._elastic.transactions if self._elastic else None
        self.observers: tuple[Observer, ...] = tuple(each for each in (tracing, transactions) if each)
        listeners: list[Access] = [each for each in (self._log, tracing, transactions) if each is not None]
        self.access: Access | None = _all(listeners)

    def watch(self, app: App) -> None:
        """Begin, when the models are loaded."""

        def models() -> Iterable[ModelFacts]:
            lanes: Iterable[Lane] = app.models.lanes()
            return models_of(lanes)

        if self._otlp is not None:
            if self._otlp.tracing is not None:
                self._otlp.tracing.find = app.router.find
            self._otlp.watch(models)
        if self._elastic is not None:
            if self._elastic.transactions is not None:
                self._elastic.transactions.find = app.router.find
            self._elastic.watch(models)

    @property
    def dropped(self) -> dict[str, int]:
        """What was lost, for `facts.ServerFacts.dropped`."""
        lost = {"access_log": self._log.dropped} if self._log else {}
        return {**lost, "elastic": self._elastic.dropped} if self._elastic else lost

    def close(self, wait: float = 5.0) -> None:
        """Write and send what is left, for about so many seconds at most."""
        if self._otlp is not None:
            self._otlp.close(wait)
        if self._elastic is not None:
            self._elastic.close(wait)
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


def _elastic(spec: ElasticSpec) -> Elastic:
    try:
        from bessemer.serve.telemetry.elastic.elastic import Elastic
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("elasticapm"):
            raise
        raise MissingExtra("serve.telemetry.elastic", "elasticapm", "elastic") from None
    return Elastic(spec)


def _all(listeners: list[Access]) -> Access | None:
    if len(listeners) < 2:
        return listeners[0] if listeners else None

    def tell(request: Request, response: Response, address: str, client: str, seconds: float) -> None:
        for listener in listeners:
            listener(request, response, address, client, seconds)

    return tell
