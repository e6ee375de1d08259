"""What a watcher is shown of a prediction log, and what it says of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.monitor.finding import Test
from bessemer.monitor.reference import Reference
from bessemer.monitor.watching.logged import LoggedWindow

if TYPE_CHECKING:
    from bessemer.monitor.slo import SloSpec
    from bessemer.package.model import Model


@dataclass(frozen=True)
class Watched:
    """A window of a prediction log, as a watcher sees it.

    model, reference: of the package. name: the model's at the server.
    window: the rows, as a Parquet file with the log's columns (`prediction_id`, `time`, `client`, `latency_us`,
    `in.NAME`, `out.NAME`, `label`, `label_time`); read it in batches or with DuckDB, it may be long.
    log: the folder of the log, for what is not in the window.
    now: when it is looked at, naive UTC. Windows follow on each other, so that every label's time lies in the span of
    one of them, whenever its prediction was made.
    looks: 1 at the first look at this window; more where it is looked at again because labels may have come.
    memory: what the watcher asked to remember at the last first look, of the window before; empty at the very first.
    false_alarm: the probability of any finding in a window without a change that the user accepts, over all tests.
    slo: what is promised to those who ask, where the project file says so.
    """

    model: Model
    reference: Reference
    name: str
    window: LoggedWindow
    log: Path
    now: dt.datetime
    looks: int
    memory: Mapping[str, Any]
    false_alarm: float
    rng: np.random.Generator
    slo: SloSpec | None = None


@dataclass(frozen=True)
class Said:
    """What a watcher says.

    tests: as detectors give them: whatever came out; what is found is decided over all of them.
    figures: JSON, kept with the window for pages and tools.
    memory: JSON that it gets back at the next window, kept in the same transaction as the window; of bounded size.
    Ignored where a window is looked at again.
    memory_if_found: what it gets in the place of `memory` where one of its tests is a finding: to begin anew.
    only_told: clients to whom nothing is done because of these tests, whatever the settings say.
    """

    tests: tuple[Test, ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)
    memory: Mapping[str, Any] = field(default_factory=dict)
    memory_if_found: Mapping[str, Any] | None = None
    only_told: frozenset[str] = frozenset()
