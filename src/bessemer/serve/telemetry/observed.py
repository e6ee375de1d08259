"""The numbers of a server as OpenTelemetry metrics: instruments that read the statistics when they are asked."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from opentelemetry.metrics import CallbackOptions, Meter, Observation
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExporter,
    MetricExportResult,
    MetricsData,
    ResourceMetrics,
    ScopeMetrics,
)

from bessemer.serve.statistics import LATENCIES, SIZES, Statistics
from bessemer.serve.telemetry.facts import ModelFacts, usage

Models = Callable[[], Iterable[ModelFacts]]
Attributes = dict[str, str]
SCOPE = "bessemer.serve"

#: Counters of a model version: name, unit, what it says, the statistic.
COUNTERS: Sequence[tuple[str, str, str, str]] = (
    ("bessemer.rows", "{row}", "Rows that were scored.", "rows"),
    ("bessemer.batches", "{run}", "How often the model ran.", "batches"),
    ("bessemer.explained.rows", "{row}", "Rows that were explained.", "explained"),
    ("bessemer.queue.time", "s", "Time between reading a request and running its model.", "queue_seconds"),
    ("bessemer.decode.time", "s", "Time spent reading requests' bodies.", "decode_seconds"),
    ("bessemer.infer.time", "s", "Time spent in the model.", "infer_seconds"),
    ("bessemer.encode.time", "s", "Time spent making answers.", "encode_seconds"),
)
_RESULTS = (("requests", "ok"), ("failed", "failed"), ("refused", "refused"), ("late", "late"))


def observe(meter: Meter, models: Models) -> None:
    """Make the instruments, which ask `models` for its numbers at each export."""
    for name, unit, text, statistic in COUNTERS:
        meter.create_observable_counter(name, [_reader(models, statistic)], unit, text)
    meter.create_observable_counter(
        "bessemer.requests", [_results(models)], "{request}", "Requests to a model by `bessemer.result`."
    )
    meter.create_observable_up_down_counter(
        "bessemer.requests.waiting",
        [_state(models, lambda facts: facts.waiting)],
        "{request}",
        "Requests that are read and not answered yet.",
    )
    meter.create_observable_gauge(
        "bessemer.model.ready", [_state(models, lambda facts: facts.ready)], "1", "Whether it takes requests."
    )
    meter.create_observable_counter("process.cpu.time", [_cpu], "s", "CPU that this process has used.")
    meter.create_observable_up_down_counter(
        "process.memory.usage", [_memory], "By", "Memory that this process has now."
    )


def _attributes(facts: ModelFacts) -> Attributes:
    return {"bessemer.model": facts.name, "bessemer.version": facts.version}


_Callback = Callable[[CallbackOptions], Iterable[Observation]]


def _reader(models: Models, statistic: str) -> _Callback:
    def read(options: CallbackOptions) -> Iterator[Observation]:
        for facts in models():
            yield Observation(getattr(facts.total(), statistic), _attributes(facts))

    return read


def _results(models: Models) -> _Callback:
    def read(options: CallbackOptions) -> Iterator[Observation]:
        for facts in models():
            total = facts.total()
            for statistic, result in _RESULTS:
                yield Observation(
                    getattr(total, statistic), {**_attributes(facts), "bessemer.result": result}
                )

    return read


def _state(models: Models, value: Callable[[ModelFacts], int]) -> _Callback:
    def read(options: CallbackOptions) -> Iterator[Observation]:
        for facts in models():
            yield Observation(int(value(facts)), _attributes(facts))

    return read


def _cpu(options: CallbackOptions) -> Iterator[Observation]:
    if (used := usage(os.getpid())) is not None:
        yield Observation(used.cpu)


def _memory(options: CallbackOptions) -> Iterator[Observation]:
    if (used := usage(os.getpid())) is not None:
        yield Observation(used.memory)


class WithHistograms(MetricExporter):  # type: ignore[misc]  # the library is not looked into
    """An exporter that adds the histograms, which are counted already: the API has no instrument that reads one.

    They are cumulative since the start.
    """

    def __init__(self, exporter: MetricExporter, models: Models) -> None:
        super().__init__(exporter._preferred_temporality, exporter._preferred_aggregation)
        self._exporter, self._models = exporter, models
        self._since = time.time_ns()

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        data = MetricsData([self._extended(each) for each in metrics_data.resource_metrics])
        return self._exporter.export(data, timeout_millis=timeout_millis, **kwargs)

    def _extended(self, found: ResourceMetrics) -> ResourceMetrics:
        scopes = [
            ScopeMetrics(scope.scope, [*scope.metrics, *self._histograms()], scope.schema_url)
            if scope.scope.name == SCOPE
            else scope
            for scope in found.scope_metrics
        ]
        return ResourceMetrics(found.resource, scopes, found.schema_url)

    def _histograms(self) -> Iterator[Metric]:
        now = time.time_ns()
        models = [(_attributes(facts), facts.total()) for facts in self._models()]
        told: Sequence[
            tuple[str, str, str, Sequence[float], Callable[[Statistics], tuple[list[int], float]]]
        ] = (
            (
                "bessemer.request.duration",
                "s",
                "Time from reading a request to its answer.",
                LATENCIES,
                lambda s: (s.latencies, s.seconds),
            ),
            ("bessemer.batch.rows", "{row}", "Rows scored in one run.", SIZES, lambda s: (s.sizes, s.rows)),
        )
        for name, unit, text, edges, read in told:
            points = [self._point(now, attributes, edges, *read(total)) for attributes, total in models]
            yield Metric(name, text, unit, Histogram(points, AggregationTemporality.CUMULATIVE))

    def _point(
        self, now: int, attributes: Attributes, edges: Sequence[float], counts: list[int], total: float
    ) -> HistogramDataPoint:
        return HistogramDataPoint(
            attributes=attributes,
            start_time_unix_nano=self._since,
            time_unix_nano=now,
            count=sum(counts),
            sum=total,
            bucket_counts=counts,
            explicit_bounds=[edge for edge in edges if math.isfinite(edge)],
            min=None,  # not known: the fields are optional on the wire
            max=None,
        )

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return bool(self._exporter.force_flush(timeout_millis))

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        self._exporter.shutdown(timeout_millis, **kwargs)
