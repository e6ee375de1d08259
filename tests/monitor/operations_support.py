"""A server's counters, written by its own writer by a clock that the test turns."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bessemer.monitor.slo import SloSpec
from bessemer.monitor.watching.logged import LoggedWindow
from bessemer.monitor.watching.watched import Said, Watched
from bessemer.serve.log.operations import Operations
from bessemer.serve.telemetry.facts import ServerFacts, Usage
from bessemer.testing.dialects import repository

DAY = dt.datetime(2026, 3, 1)
MINUTE = 60.0


def seconds(moment: dt.datetime) -> float:
    return moment.replace(tzinfo=dt.UTC).timestamp()


class Busy:
    """A server that did what it is told to have done."""

    def __init__(self, folder: Path, keep: float | None = None) -> None:
        self.repository = repository(dialects=["plain"])
        (lane,) = self.repository.lanes()
        self.lane, self.statistics = lane, lane.subject.statistics
        self.now, self.cpu, self.memory = seconds(DAY), 1.0, 100_000_000
        self.steady = 0.0
        self.refused: dict[int, int] = {}
        self.dropped: dict[str, int] = {}
        self.writer = Operations(
            *(folder, MINUTE, keep, self.repository.every_lane, self._facts),
            clock=lambda: self.now,
            used=lambda: Usage(self.cpu, self.memory, 3),
            steady=lambda: self.steady,
        )

    def _facts(self) -> ServerFacts:
        return ServerFacts(refused=dict(self.refused), dropped=dict(self.dropped), cold_start=0.75)

    def does(
        self,
        latencies: Any,
        failed: int = 0,
        late: int = 0,
        refused: int = 0,
        cpu: float = 0.0,
        rows: int = 1,
    ) -> None:
        """Requests of `rows` rows each that took so many seconds, and others."""
        for latency in latencies:
            self.statistics.ran(rows=rows, requests=1, infer=0.0001)
            self.statistics.took(float(latency))
            self.statistics.queue_seconds += 0.0001
        self.statistics.failed += failed
        self.statistics.late += late
        self.statistics.refused += refused
        self.cpu += cpu

    def minute(self, latencies: Any = (), minutes: int = 1, **more: Any) -> None:
        """The same in each of some minutes, and the line that is written when it ends."""
        for _ in range(minutes):
            self.does(latencies, **more)
            self.now += MINUTE
            self.steady += MINUTE
            self.writer.write(self.now)


class Looking:
    """One watcher, window after window."""

    def __init__(self, watcher: Any, log: Path, model: Any, slo: SloSpec | None = None) -> None:
        self._watcher, self._log, self._model, self._slo = watcher, log, model, slo
        self.memory: Mapping[str, Any] = {}

    def at(self, end: float, length: float = 3600.0) -> Said:
        """What it says of the window that ends then (Unix time, and its length in seconds)."""
        moments = [
            dt.datetime.fromtimestamp(each, dt.UTC).replace(tzinfo=None) for each in (end - length, end)
        ]
        window = LoggedWindow(self._log / "none.parquet", 500, (), *moments)
        said = self._watcher.watch(
            Watched(
                *(self._model, None, "tiny", window, self._log, moments[1], 1, self.memory, 0.001),
                np.random.default_rng(7),
                slo=self._slo,
            )
        )
        self.memory = said.memory
        return said
