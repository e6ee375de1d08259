"""The record of a run: what it did and gave, as it is kept in the store."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bessemer.core.runner import StageResult

_FILES = ("package", "report", "leaderboard")


@dataclass(repr=False)
class Run:
    """What a run did and gave.

    status: running, done, failed, interrupted or killed. seconds: wall clock. package, report, leaderboard: the files
    in the project's build folder, when the run came that far. metrics: name -> {value, low, high} on the test rows.
    stages: a `StageResult` for each stage, in order. data: the snapshot it worked on: `snapshot` (v3), `digest`, and
    `from`: `acquire`, or `an earlier run` where it was asked for.
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
    data: dict[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        found = self.metrics.get(self.metric)
        metric = f", {self.metric} {found['value']:.4g}" if found else ""
        return f"<Run {self.id} of {self.project}: {self.status}{metric}, {self.seconds:.1f} s>"

    def _repr_html_(self) -> str:
        from bessemer.core.rich_html import card, details, figure, table, text

        main = self.metrics.get(self.metric)
        stages = [
            [
                text(s.stage),
                text(s.status),
                text("" if s.status == "cached" else f"{s.seconds:.1f} s"),
                text(s.why),
            ]
            for s in self.stages
        ]
        figures = [[text(name), figure(row)] for name, row in self.metrics.items()]
        facts = [
            ("status", text(self.status)),
            (self.metric, figure(main)),
            ("took", text(f"{self.seconds:.1f} s")),
            ("report", text(self.report)),
            ("package", text(self.package)),
            ("error", text(self.error)),
        ]
        more = [details("metrics", table(["metric", "on the test rows"], figures))] if figures else []
        more += [details("stages", table(["stage", "", "time", "why"], stages))] if stages else []
        return card(f"Run {self.id} of {self.project}", facts, *more)

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
