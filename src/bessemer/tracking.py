"""Feeds a run's events to the trackers of the project file, beside the work."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bessemer.train.trackers.process import TrackerProcess
    from bessemer.train.trackers.spec import TrackSpec

_STATUS = {"done": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}


class Tracking:
    """A sink that starts the trackers' process when the first stage really runs.

    A run that takes everything from the cache has trained nothing and is not tracked again.

    Args:
        spec: the `track` section. run: the run's id. project: the project's name.
        folder: the project's .bessemer folder. settings: what the project file says, for the parameters.
    """

    def __init__(
        self, spec: TrackSpec, *, run: str, project: str, folder: Path, settings: Mapping[str, Any]
    ) -> None:
        self.spec, self.run, self.project, self.folder = spec, run, project, folder
        self.settings = settings
        self._process: TrackerProcess | None = None

    def __call__(self, stage: str, kind: str, data: Mapping[str, Any]) -> None:
        if kind == "stage_start" and not data["cached"] and self._process is None:
            self._start()
        if self._process is None:
            return
        if kind == "metric":
            self._process.emit("metric", data)
        elif kind == "stage_end" and data["status"] == "ran":
            self._process.emit("metric", {"name": f"seconds.{stage}", "value": data["seconds"], "step": 0})

    def _start(self) -> None:
        from bessemer.train.trackers.process import TrackerProcess, configure

        config = configure(self.spec, run=self.run, project=self.project, folder=self.folder)
        if config.trackers:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._process = TrackerProcess(self.folder / f"track-{self.run}.jsonl", config)
            self._process.emit("params", flat(self.settings))

    def end(self, run: Mapping[str, Any], model: Mapping[str, Any]) -> list[str]:
        """Tell how the run ended, and give what the trackers warn of.

        Args:
            run: as `Run.to_json`. model: the artifact's model.json, {} where the run did not come that far.
        """
        if self._process is None:
            return []
        if model:
            chosen = {"learner": model["learner"], **model["params"], "iterations": model["iterations"]}
            self._process.emit("params", flat({"model": chosen}))
        for name, figure in run["metrics"].items():
            for part in ("value", "low", "high"):
                value = figure[part]
                if value is not None:
                    label = f"test_{name}" if part == "value" else f"test_{name}.{part}"
                    self._process.emit("metric", {"name": label, "value": value, "step": 0})
        self._process.emit("tags", {"bessemer.run": self.run, "bessemer.package": run["package"] or ""})
        for made in ("report", "leaderboard"):
            if run[made]:
                self._process.emit("artifacts", {"path": run[made]})
        return self._process.close(status=_STATUS.get(run["status"], "FAILED"))  # type: ignore[arg-type]


def flat(value: Any, prefix: str = "") -> dict[str, str]:
    """Nested settings as dotted names and short texts.

    >>> flat({"train": {"rounds": 5, "params": {}}})
    {'train.rounds': '5'}
    """
    if isinstance(value, Mapping):
        found: dict[str, str] = {}
        for key, inner in value.items():
            found |= flat(inner, f"{prefix}.{key}" if prefix else str(key))
        return found
    if value is None or value == [] or value == "":
        return {}
    return {prefix: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}
