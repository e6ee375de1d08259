"""The protocol of a tracker. Trackers live in a process of their own (see `worker`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

Status = Literal["FINISHED", "FAILED", "KILLED"]


@dataclass(frozen=True)
class RunInfo:
    """The run that is tracked.

    run: its id; project: the project's name; folder: the project's .bessemer folder; setting: what the
    project file says for this tracker (`auto`, or an address).
    """

    run: str
    project: str
    folder: Path
    setting: str = "auto"


class Tracker(Protocol):
    """Where one run is written to. Any method may raise: the run goes on without this tracker, with a warning."""

    def start(self, info: RunInfo) -> None: ...

    def log_params(self, params: Mapping[str, str]) -> None: ...

    def log_metrics(self, points: Sequence[tuple[str, float, int]]) -> None:
        """(name, value, step) of any number of curves."""
        ...

    def log_tags(self, tags: Mapping[str, str]) -> None: ...

    def log_artifacts(self, path: Path) -> None:
        """A file, or a folder with all that is in it."""
        ...

    def finish(self, status: Status) -> None: ...
