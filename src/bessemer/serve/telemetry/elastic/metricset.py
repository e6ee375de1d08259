"""The numbers of the models as a metric set: what every request of the interval added up to, sampled or not."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from elasticapm.metrics.base_metrics import MetricSet

from bessemer.serve.statistics import LATENCIES, SIZES
from bessemer.serve.telemetry.facts import ModelFacts

Models = Callable[[], Iterable[ModelFacts]]
Numbers = Mapping[str, Any]

#: Name and unit of what is counted, and the statistic: each is what was added in the interval.
COUNTERS: Sequence[tuple[str, str | None, str]] = (
    ("bessemer.requests.ok", None, "requests"),
    ("bessemer.requests.failed", None, "failed"),
    ("bessemer.requests.refused", None, "refused"),
    ("bessemer.requests.late", None, "late"),
    ("bessemer.rows", None, "rows"),
    ("bessemer.batches", None, "batches"),
    ("bessemer.explained.rows", None, "explained"),
    ("bessemer.queue.time", "s", "queue_seconds"),
    ("bessemer.decode.time", "s", "decode_seconds"),
    ("bessemer.infer.time", "s", "infer_seconds"),
    ("bessemer.encode.time", "s", "encode_seconds"),
    ("bessemer.request.time", "s", "seconds"),
)
#: Name, unit, upper edges, and the statistic.
HISTOGRAMS: Sequence[tuple[str, str | None, Sequence[float], str]] = (
    ("bessemer.request.duration", "s", LATENCIES, "latencies"),
    ("bessemer.batch.rows", None, SIZES, "sizes"),
)


class ModelMetrics(MetricSet):  # type: ignore[misc]  # the library is not looked into
    """A metric set of the agent's, with one set of samples for each version of a model.

    models: is asked at each interval; nobody until it is set.

    Its own `collect`, because that of the agent keeps an instrument for each set of labels there ever was, and stops at
    a thousand: versions come and go.
    """

    def __init__(self, registry: Any) -> None:
        super().__init__(registry)
        self.models: Models = lambda: ()
        self._before: dict[tuple[str, str], Numbers] = {}

    def collect(self) -> Iterator[dict[str, Any]]:
        now = int(time.time() * 1e6)
        seen: dict[tuple[str, str], Numbers] = {}
        for facts in self.models():
            key = facts.name, facts.version
            seen[key] = facts.total().snapshot()
            yield {
                "timestamp": now,
                "tags": {"model": facts.name, "version": facts.version},
                "samples": {
                    **dict(added(_begin(self._before.get(key), facts.carried, seen[key]), seen[key])),
                    "bessemer.requests.waiting": {"value": facts.waiting, "type": "gauge"},
                    "bessemer.model.ready": {"value": int(facts.ready), "type": "gauge"},
                },
            }
        self._before = seen


def _begin(before: Numbers | None, carried: Numbers, now: Numbers) -> Numbers:
    """Where an interval begins: at the last one's end; else at what was told by processes before this.

    A number that fell is that of a model that was loaded anew.
    """
    return carried if before is None or _fell(before, now) else before


def _fell(before: Numbers, now: Numbers) -> bool:
    counted = any(now[name] < before[name] for _, _, name in COUNTERS)
    return counted or any(
        n < e for *_, name in HISTOGRAMS for n, e in zip(now[name], before[name], strict=True)
    )


def added(before: Numbers, now: Numbers) -> Iterator[tuple[str, dict[str, Any]]]:
    """Samples of what came between two snapshots (`Statistics.snapshot`) of a version."""
    for name, unit, statistic in COUNTERS:
        came = now[statistic] - before.get(statistic, 0)
        yield name, {"value": came, "type": "gauge", **({"unit": unit} if unit else {})}
    for name, unit, edges, statistic in HISTOGRAMS:
        earlier = before.get(statistic) or [0] * len(edges)
        counts = [n - e for n, e in zip(now[statistic], earlier, strict=True)]
        if any(counts):
            yield name, {**_histogram(edges, counts), **({"unit": unit} if unit else {})}


def _histogram(edges: Sequence[float], counts: Sequence[int]) -> dict[str, Any]:
    """Elastic's histogram: the middles of the buckets that have anything; of the last, which is open, its lower edge.

    >>> _histogram((1, 2, float("inf")), [3, 0, 1])
    {'type': 'histogram', 'values': [0.5, 2], 'counts': [3, 1]}
    """
    lower = [0.0, *edges[:-1]]
    middles = [low if math.isinf(high) else (low + high) / 2 for low, high in zip(lower, edges, strict=True)]
    full = [(value, count) for value, count in zip(middles, counts, strict=True) if count]
    return {
        "type": "histogram",
        "values": [value for value, _ in full],
        "counts": [count for _, count in full],
    }
