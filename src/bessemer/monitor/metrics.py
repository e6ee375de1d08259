"""What was found in the last window, as metrics that Prometheus scrapes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from prometheus_client import CollectorRegistry, generate_latest, start_http_server, write_to_textfile
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from bessemer.core.errors import EnvironmentFault, UsageError
from bessemer.monitor.finding import Kind
from bessemer.monitor.store import Kept, MonitorStore

_LABELS = ("model", "version")
#: What the tests of a window are of, and its key there. Clients are left out: there may be any number of them.
_TESTED = {"input": "columns", "output": "outputs", "service": "service"}


class LastWindow(Collector):  # type: ignore[misc]  # the library is not looked into
    """The metrics of a model's last window, and of the last one that had labels.

    Args:
        store: what it has of the model is there from the start.

    >>> import tempfile
    >>> nothing = {"alarm": False, "findings": [], "columns": {}, "outputs": {}, "service": {}, "performance": None}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     last = LastWindow(MonitorStore(Path(folder) / "monitor.db"), "churn", "1")
    >>> last.saw(Kept("churn", "1", "2026-01-01T00:00:00", "2026-01-01T01:00:00", 9, 1, nothing))
    >>> "bessemer_monitor_rows{model=\\"churn\\",version=\\"1\\"} 9.0" in last.text()
    True
    """

    def __init__(self, store: MonitorStore, model: str, version: str, months: float = 1.0) -> None:
        self._last: Kept | None = None
        self._labelled: Kept | None = None
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(self)
        since = dt.datetime.now(dt.UTC).replace(tzinfo=None) - dt.timedelta(days=31 * months)
        for window in store.windows(model, version, since.isoformat()):
            self.saw(window)

    def saw(self, window: Kept) -> None:
        """Take note of a window; an older one that was looked at again takes nothing from a newer one."""
        if self._last is None or window.start >= self._last.start:
            self._last = window
        measured = (window.check.get("performance") or {}).get(
            "measured"
        ) and window.version == self._last.version
        if self._labelled is not None and self._labelled.version != self._last.version:
            self._labelled = None
        if measured and (self._labelled is None or window.start >= self._labelled.start):
            self._labelled = window

    def text(self) -> str:
        return str(generate_latest(self.registry).decode())

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        window = self._last
        if window is None:
            return
        yield from _window(window)
        yield from _found(window)
        yield from _tests(window)
        yield from _performance(window, self._labelled)
        yield from _figures(window)


def _gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"bessemer_monitor_{name}", text, labels=(*_LABELS, *labels))


def _key(window: Kept) -> tuple[str, str]:
    return window.model, window.version


def _window(window: Kept) -> Iterator[Metric]:
    start, end = (_seconds(moment) for moment in (window.start, window.end))
    performance = window.check.get("performance") or {}
    gauges = (
        ("rows", "Rows of the last window.", float(window.rows)),
        ("window_end_timestamp_seconds", "When the last window ended.", end),
        ("window_seconds", "How long it was.", end - start),
        ("labelled_share", "Share of its rows that have a label.", _share(performance)),
    )
    for name, text, value in gauges:
        family = _gauge(name, text)
        family.add_metric(_key(window), value)
        yield family


def _share(performance: Mapping[str, Any]) -> float:
    return float(performance["labelled"] / performance["rows"]) if performance.get("rows") else 0.0


def _found(window: Kept) -> Iterator[Metric]:
    family = _gauge("findings", "Findings of the last window by kind.", "kind")
    for kind in get_args(Kind):
        count = sum(found["kind"] == kind for found in window.check["findings"])
        family.add_metric((*_key(window), kind), count)
    yield family


def _tests(window: Kept) -> Iterator[Metric]:
    labels = ("of", "column", "detector")
    families = {
        "value": _gauge("statistic", "The statistic of a detector on a column.", *labels),
        "p_value": _gauge("p_value", "How likely it is by chance.", *labels),
    }
    for of, key in _TESTED.items():
        for column, tests in window.check.get(key, {}).items():
            for detector, test in tests.items():
                for name, family in families.items():
                    if test[name] is not None:
                        family.add_metric((*_key(window), of, column, detector), test[name])
    yield from families.values()


def _performance(last: Kept, labelled: Kept | None) -> Iterator[Metric]:
    suffixes = {"value": "", "low": "_low", "high": "_high"}
    texts = {
        "value": "A metric of the model.",
        "low": "Its lower bound (95 %).",
        "high": "Its upper bound (95 %).",
    }
    families = {
        name: _gauge(f"performance{suffix}", texts[name], "metric", "source")
        for name, suffix in suffixes.items()
    }
    for window, sources in ((last, ("estimated", "reference")), (labelled, ("measured",))):
        performance = (window.check.get("performance") if window is not None else None) or {}
        for source in sources:
            for metric, figure in performance.get(source, {}).items():
                for name, family in families.items():
                    if figure[name] is not None:
                        family.add_metric((*_key(last), metric, source), figure[name])
    yield from families.values()


def _figures(window: Kept) -> Iterator[Metric]:
    figures = window.check.get("figures", {})
    left = _gauge("slo_budget_left", "Share of an error budget that is left.", "slo")
    for objective, found in figures.get("slo", {}).items():
        left.add_metric((*_key(window), objective), found["budget_left"])
    yield left
    cost = _gauge("cost_per_1000_rows", "What 1,000 rows cost.", "currency")
    found = figures.get("cost", {})
    if found.get("per_1000_rows") is not None:
        cost.add_metric((*_key(window), found["currency"]), found["per_1000_rows"])
    yield cost


def _seconds(moment: str) -> float:
    return dt.datetime.fromisoformat(moment).replace(tzinfo=dt.UTC).timestamp()


def listen(last: LastWindow, address: str) -> Callable[[], None]:
    """Answer scrapes at `PORT` (of this machine alone) or `HOST:PORT`, in a thread; gives what ends that.

    Raises:
        UsageError: it is no address. EnvironmentFault: it is taken.
    """
    host, _, port = address.rpartition(":")
    if not port.isdigit() or int(port) > 65_535:
        raise UsageError(f"'{address}' is no address", fix="write a port, or HOST:PORT: --metrics 9109")
    try:
        server, thread = start_http_server(int(port), host.strip("[]") or "127.0.0.1", last.registry)
    except OSError as error:
        raise EnvironmentFault(
            f"cannot listen at {address}", why=error.strerror or str(error), fix="name another port"
        ) from error

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return stop


def write_textfile(last: LastWindow, path: Path) -> None:
    """Write the metrics into a file, whole or not at all, for node_exporter's textfile collector.

    Raises:
        EnvironmentFault: it cannot be written.
    """
    try:
        write_to_textfile(str(path), last.registry)
    except OSError as error:
        raise EnvironmentFault(
            f"cannot write {path}",
            why=error.strerror or str(error),
            fix="name a file in a folder that is there",
        ) from error
