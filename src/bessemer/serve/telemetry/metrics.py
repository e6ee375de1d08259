"""The routes of the metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

from bessemer.serve.dialect import Call, Route
from bessemer.serve.telemetry.facts import ModelFacts, ServerFacts
from bessemer.serve.wire import Response

#: The second is where TensorFlow Serving has them.
PATHS = ("/metrics", "/monitoring/prometheus/metrics")
#: What gives the facts of the moment: of one process, or gathered from all workers.
Source = Callable[[], tuple[Iterable[ModelFacts], ServerFacts]]


class Metrics:
    """`GET /metrics` in Prometheus' text format, or in OpenMetrics.

    source: is asked at each scrape.
    """

    title: ClassVar[str] = "Metrics"

    def __init__(self, source: Source) -> None:
        self._source = source

    @property
    def routes(self) -> Sequence[Route]:
        return tuple(
            Route("GET", path, "Metrics in Prometheus' format.", answer=self.answer, shown=False)
            for path in PATHS
        )

    def answer(self, call: Call) -> Response:
        from bessemer.serve.telemetry.prometheus import (
            render,
        )  # 30 ms that a server without scrapes never pays

        body, kind = render(*self._source(), accept=call.request.headers.get("accept", ""))
        return Response(200, body, kind)
