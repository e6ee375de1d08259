"""The numbers of a server in Prometheus' text format, or in OpenMetrics where the scraper asks for it.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from bessemer._version import __version__
from bessemer.serve.statistics import LATENCIES, SIZES, Statistics
from bessemer.serve.telemetry.facts import ModelFacts, ServerFacts, usage

_LABELS = ("model", "version")
#: What became of a request, and the statistic that counts it.
RESULTS = {"ok": "requests", "failed": "failed", "refused": "refused", "late": "late"}

#: Counters of a model version: name, what it says, the statistic.
COUNTERS: Sequence[tuple[str, str, str]] = (
    ("bessemer_rows", "Rows that were scored.", "rows"),
    ("bessemer_batches", "How often the model ran; a run scores one request or several.", "batches"),
    ("bessemer_explained_rows", "Rows that were explained.", "explained"),
    ("bessemer_queue_seconds", "Time between reading a request and running its model.", "queue_seconds"),
    ("bessemer_decode_seconds", "Time spent reading requests' bodies.", "decode_seconds"),
    ("bessemer_infer_seconds", "Time spent in the model.", "infer_seconds"),
    ("bessemer_encode_seconds", "Time spent making answers.", "encode_seconds"),
    ("bessemer_failed_seconds", "Time that requests took which failed.", "failed_seconds"),
)


def render(models: Iterable[ModelFacts], server: ServerFacts, accept: str = "") -> tuple[bytes, str]:
    """The metrics of a server, and their content type.

    Args:
        models: each loaded version.
        server: the server.
        accept: the scraper's `Accept` header.

    >>> text, kind = render([ModelFacts("churn", "1", [{"rows": 2}])], ServerFacts())
    >>> kind
    'text/plain; version=0.0.4; charset=utf-8'
    >>> b'bessemer_rows_total{model="churn",version="1"} 2.0' in text
    True
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Facts(list(models), server))
    if (
        "application/openmetrics-text" in accept.lower()
    ):  # every Prometheus since 2.5 sends it, or wants text only
        return openmetrics.generate_latest(registry), openmetrics.CONTENT_TYPE_LATEST
    return generate_latest(registry), CONTENT_TYPE_PLAIN_0_0_4


class _Facts(Collector):  # type: ignore[misc]  # the library is not looked into
    def __init__(self, models: Sequence[ModelFacts], server: ServerFacts) -> None:
        self._models, self._server = models, server

    def describe(self) -> list[Metric]:
        return []  # names are not compared with other collectors': there are none

    def collect(self) -> Iterator[Metric]:
        totals = [((facts.name, facts.version), facts, facts.total()) for facts in self._models]
        yield from _counts(totals)
        yield from _histograms(totals)
        yield from _states(totals)
        yield from _server(self._server)
        yield from _processes(self._server)


_Totals = Sequence[tuple[tuple[str, str], ModelFacts, Statistics]]


def _counts(totals: _Totals) -> Iterator[Metric]:
    about = "Requests to a model by result: ok, failed (the server), refused (its values), late."
    requests = CounterMetricFamily("bessemer_requests", about, labels=(*_LABELS, "result"))
    for labels, _, statistics in totals:
        for result, statistic in RESULTS.items():
            requests.add_metric((*labels, result), getattr(statistics, statistic))
    yield requests
    for name, text, statistic in COUNTERS:
        family = CounterMetricFamily(name, text, labels=_LABELS)
        for labels, _, statistics in totals:
            family.add_metric(labels, getattr(statistics, statistic))
        yield family
    dialects = CounterMetricFamily(
        "bessemer_dialect_requests",
        "Requests answered with predictions, by protocol.",
        labels=(*_LABELS, "dialect"),
    )
    for labels, _, statistics in totals:
        for dialect, count in sorted(statistics.dialects.items()):
            dialects.add_metric((*labels, dialect), count)
    yield dialects


def _histograms(totals: _Totals) -> Iterator[Metric]:
    latency = HistogramMetricFamily(
        "bessemer_request_duration_seconds",
        "Time from reading a request to its answer, of those that were answered.",
        labels=_LABELS,
    )
    sizes = HistogramMetricFamily("bessemer_batch_rows", "Rows that were scored in one run.", labels=_LABELS)
    for labels, _, statistics in totals:
        latency.add_metric(labels, buckets(LATENCIES, statistics.latencies), statistics.seconds)
        sizes.add_metric(labels, buckets(SIZES, statistics.sizes), statistics.rows)
    yield latency
    yield sizes


def buckets(edges: Sequence[float], counts: Sequence[int]) -> list[tuple[str, float]]:
    """Counts of each bucket as the cumulative ones that Prometheus wants.

    >>> buckets((1.0, float("inf")), (3, 2))
    [('1.0', 3), ('+Inf', 5)]
    """
    return [(floatToGoString(edge), count) for edge, count in zip(edges, accumulate(counts), strict=True)]


def _states(totals: _Totals) -> Iterator[Metric]:
    gauges: Sequence[tuple[str, str, Callable[[ModelFacts, Statistics], float]]] = (
        ("bessemer_requests_waiting", "Requests that are read and not answered yet.", lambda f, s: f.waiting),
        ("bessemer_model_ready", "Whether the version takes requests.", lambda f, s: f.ready),
        ("bessemer_model_package_bytes", "Size of what is in its package.", lambda f, s: f.size),
        ("bessemer_model_last_run_timestamp_seconds", "When it last ran; 0: never.", lambda f, s: s.last),
        ("bessemer_model_load_seconds", "Time it took to open and warm it.", lambda f, s: f.loading),
        ("bessemer_model_traffic_share", "Share of requests that name no version.", lambda f, s: f.share),
        ("bessemer_model_canary", "Whether the version is a canary on trial.", lambda f, s: f.canary),
        ("bessemer_model_shadow", "Whether it sees requests and does not answer.", lambda f, s: f.shadow),
    )
    for name, text, value in gauges:
        family = GaugeMetricFamily(name, text, labels=_LABELS)
        for labels, facts, statistics in totals:
            family.add_metric(labels, value(facts, statistics))
        yield family
    info = InfoMetricFamily("bessemer_model", "What a version is.", labels=_LABELS)
    for labels, facts, _ in totals:
        info.add_metric(labels, {"learner": facts.learner, "task": facts.task})
    yield info


def _server(server: ServerFacts) -> Iterator[Metric]:
    gauges: Sequence[tuple[str, str, float]] = (
        ("bessemer_server_ready", "Whether the server takes requests.", server.ready),
        ("bessemer_server_start_time_seconds", "When it started.", server.started),
        ("bessemer_connections", "Connections that are open.", server.connections),
        ("bessemer_workers", "Processes that serve.", server.workers),
        ("bessemer_cold_start_seconds", "Time from start to first ready, the slowest.", server.cold_start),
    )
    for name, text, value in gauges:
        yield GaugeMetricFamily(name, text, value=value)
    yield CounterMetricFamily(
        "bessemer_connections_accepted", "Connections that were opened.", value=server.accepted
    )
    yield CounterMetricFamily(
        "bessemer_worker_restarts", "How often a process was started again.", value=server.restarts
    )
    refused = CounterMetricFamily(
        "bessemer_refused", "Requests refused before a model saw them.", labels=("status",)
    )
    for status, count in sorted(server.refused.items()):
        refused.add_metric((str(status),), count)
    yield refused
    dropped = CounterMetricFamily("bessemer_telemetry_dropped", "Records that were lost.", labels=("what",))
    for what, count in sorted(server.dropped.items()):
        dropped.add_metric((what,), count)
    yield dropped
    build = {"version": __version__, "python": platform.python_version()}
    yield InfoMetricFamily("bessemer_build", "What is running.", value=build)


def _processes(server: ServerFacts) -> Iterator[Metric]:
    found = [(str(i), used) for i, pid in enumerate(server.pids) if (used := usage(pid)) is not None]
    label = ("worker",)
    cpu = CounterMetricFamily("bessemer_process_cpu_seconds", "CPU that a process has used.", labels=label)
    memory = GaugeMetricFamily(
        "bessemer_process_resident_memory_bytes", "Memory that a process has now.", labels=label
    )
    files = GaugeMetricFamily(
        "bessemer_process_open_files", "Files and sockets that a process has open.", labels=label
    )
    for worker, used in found:
        cpu.add_metric((worker,), used.cpu)
        memory.add_metric((worker,), used.memory)
        files.add_metric((worker,), used.files)
    yield from (cpu, memory, files)
