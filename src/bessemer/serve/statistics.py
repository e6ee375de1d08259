"""What one version of a model has done since it was loaded: counts and times, summed once a scored batch."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: Upper edges of the latency histogram, in seconds; what is slower stands in the last bucket.
LATENCIES = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
    float("inf"),
)
#: Upper edges of the histogram of rows scored at once.
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096, 16384, float("inf"))
_COUNTS = (
    *("requests", "failed", "refused", "late", "rows", "batches", "explained"),
    *("queue_seconds", "decode_seconds", "infer_seconds", "encode_seconds", "seconds", "failed_seconds"),
)


@dataclass
class Statistics:
    """Counters of one model version in one process.

    requests: answered with predictions; failed: with an error of the server; refused: with one of the client (a value
    that is not of its column's type); late: not within their time. rows: scored; batches: how often the model ran;
    explained: rows with contributions.
    decode_seconds: reading bodies; queue_seconds: from read to run; infer_, encode_seconds: what it says; seconds: from
    the first to the last, of the requests; failed_seconds: of those that failed or were refused. last: Unix time of the
    last batch, 0 before it. dialects: the requests by protocol. carried: the snapshot of what processes before this one
    did, which is in all the others; empty where there were none.

    >>> one = Statistics()
    >>> one.ran(rows=4, requests=3, infer=0.001)
    >>> one.add({"requests": 2, "rows": 2}).requests, one.rows
    (5, 6)
    """

    requests: int = 0
    failed: int = 0
    refused: int = 0
    late: int = 0
    rows: int = 0
    batches: int = 0
    explained: int = 0
    queue_seconds: float = 0.0
    decode_seconds: float = 0.0
    infer_seconds: float = 0.0
    encode_seconds: float = 0.0
    seconds: float = 0.0
    failed_seconds: float = 0.0
    last: float = 0.0
    dialects: dict[str, int] = field(default_factory=dict)
    latencies: list[int] = field(default_factory=lambda: [0] * len(LATENCIES))
    sizes: list[int] = field(default_factory=lambda: [0] * len(SIZES))
    carried: Mapping[str, Any] = field(default_factory=dict)

    def ran(self, *, rows: int, requests: int, infer: float) -> None:
        """Count one run of the model for some requests."""
        self.batches += 1
        self.rows += rows
        self.requests += requests
        self.infer_seconds += infer
        self.sizes[bisect_left(SIZES, rows)] += 1
        self.last = time.time()

    def took(self, seconds: float) -> None:
        """Count the time of one answered request."""
        self.seconds += seconds
        self.latencies[bisect_left(LATENCIES, seconds)] += 1

    def snapshot(self) -> dict[str, Any]:
        """All of it as JSON values."""
        found: dict[str, Any] = {name: getattr(self, name) for name in _COUNTS}
        lists = {"latencies": list(self.latencies), "sizes": list(self.sizes)}
        return {**found, "last": self.last, "dialects": dict(self.dialects), **lists}

    def carry(self, other: Mapping[str, Any]) -> None:
        """Go on where a process that ended has stopped: add its snapshot, and remember what was not done here."""
        if other:
            self.carried = Statistics().add(self.carried).add(other).snapshot()
            self.add(other)

    def add(self, other: Mapping[str, Any]) -> Statistics:
        """Add another process's snapshot, and give this."""
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + other.get(name, 0))
        self.last = max(self.last, other.get("last", 0.0))
        for dialect, count in other.get("dialects", {}).items():
            self.dialects[dialect] = self.dialects.get(dialect, 0) + count
        for mine, theirs in ((self.latencies, "latencies"), (self.sizes, "sizes")):
            for i, count in enumerate(other.get(theirs, ())[: len(mine)]):
                mine[i] += count
        return self
