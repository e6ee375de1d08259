"""The record of a run: what it did and gave, as it is kept in the store."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bessemer.core.runner import StageResult

_FILES = ("package", "report", "leaderboard")


@dataclass
class Run:
    """What a run did and gave.

    status: running, done, failed, interrupted or killed. seconds: wall clock. package, report, leaderboard: the files
    in the project's build folder, when the run came that far. metrics: name -> {value, low, high} on the test rows.
    stages: a `StageResult` for each stage, in order.
    """

    id: str
    project: str
    status: str
    started: str
    seconds: float = 0.0
    package: Path | None = None
    report: Path | None = None
    leaderboard: Path | None = None
    metric: str = ""
    metrics: dict[str, dict[str, float]] = field(default_factory=dict)
    stages: list[StageResult] = field(default_factory=list)
    error: str = ""
    pid: int = 0

    def to_json(self) -> dict[str, Any]:
        """The run as plain JSON data."""
        value = asdict(self)
        value["run"] = value.pop("id")
        for name in _FILES:
            value[name] = str(value[name]) if value[name] else None
        del value["pid"]
        return value

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Run:
        values = dict(record)
        for name in _FILES:
            values[name] = Path(values[name]) if values.get(name) else None
        values["stages"] = [StageResult(**stage) for stage in values["stages"]]
        run = cls(**values)
        if run.status == "running" and not _alive(run.pid):
            run.status = "killed"
        return run


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
