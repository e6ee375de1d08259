"""What a version costs: bytes, the time to load, the time of a row."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from bessemer.core.signature import Field
from bessemer.package.head import CHOICES, SETTING
from bessemer.package.session import GraphSession

#: The sizes of requests that are timed.
BATCHES = (1, 64)
#: Seconds that each figure is measured for, at least; and how often, at least.
_SECONDS, _TIMES = 0.2, 7


@dataclass(frozen=True)
class Setting:
    """How a version is run. threads: inside an operator. trees: what walks trees, as BESSEMER_TREES says."""

    threads: int = 1
    trees: str = "auto"

    def __str__(self) -> str:
        said = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        return said if self.trees == "auto" else f"{said}, trees by {self.trees}"


@dataclass(frozen=True)
class Cost:
    """bytes: of the graph. load_ms: until the first answer. micros: microseconds a request of each size of `BATCHES`,
    the median."""

    bytes: int
    load_ms: float
    micros: Mapping[int, float]

    def to_json(self) -> dict[str, Any]:
        told = asdict(self)
        told["micros"] = {str(size): value for size, value in self.micros.items()}
        return told


def cost_of(
    graph: bytes,
    inputs: Sequence[Field],
    feeds: Mapping[str, np.ndarray],
    outputs: Sequence[str],
    setting: Setting,
) -> Cost:
    """Load a graph and time it on raw rows.

    Args:
        feeds: tensors (N, 1), N at least 1; rows are repeated where a request has more.
    """
    with _trees_by(setting.trees):
        begin = time.perf_counter()
        session = GraphSession(graph, inputs, threads=setting.threads, sample=feeds)
        session.run_feeds(_some(feeds, 1), outputs)
        load = time.perf_counter() - begin
        micros = {size: _time(session, _some(feeds, size), outputs) for size in BATCHES}
    return Cost(len(graph), load * 1e3, micros)


def settings_of(graph: bytes) -> list[Setting]:
    """The settings worth a try on this machine."""
    cores = os.cpu_count() or 1
    found = [Setting()]
    if cores > 1:
        found.append(Setting(threads=min(cores, 8)))
    if b"TreeEnsembleRegressor" in graph:
        found += [Setting(trees=choice) for choice in CHOICES if choice != "auto"]
    return found


def _some(feeds: Mapping[str, np.ndarray], size: int) -> dict[str, np.ndarray]:
    return {name: np.resize(value, (size, *value.shape[1:])) for name, value in feeds.items()}


def _time(session: GraphSession, feeds: Mapping[str, np.ndarray], outputs: Sequence[str]) -> float:
    session.run_feeds(feeds, outputs)
    taken: list[float] = []
    until = time.perf_counter() + _SECONDS
    while len(taken) < _TIMES or time.perf_counter() < until:
        begin = time.perf_counter()
        session.run_feeds(feeds, outputs)
        taken.append(time.perf_counter() - begin)
    return float(np.median(taken) * 1e6)


@contextmanager
def _trees_by(choice: str) -> Iterator[None]:
    """Walkers are chosen while a graph is loaded."""
    before = os.environ.get(SETTING)
    os.environ[SETTING] = choice
    try:
        yield
    finally:
        if before is None:
            del os.environ[SETTING]
        else:
            os.environ[SETTING] = before
