"""TensorBoard event files, one folder a run: `tensorboard --logdir .bessemer/tensorboard`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bessemer.train.trackers.tracker import RunInfo, Status


class TensorBoard:
    """Curves as scalars; parameters, tags and the status as text."""

    def __init__(self) -> None:
        self._writer: Any = None

    def start(self, info: RunInfo) -> None:
        from tensorboardX import SummaryWriter

        self._writer = SummaryWriter(logdir=str(info.folder / "tensorboard" / info.run))

    def log_params(self, params: Mapping[str, str]) -> None:
        self._table("parameters", params)

    def log_metrics(self, points: Sequence[tuple[str, float, int]]) -> None:
        for name, value, step in points:
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def log_tags(self, tags: Mapping[str, str]) -> None:
        self._table("tags", tags)

    def _table(self, name: str, rows: Mapping[str, str]) -> None:
        lines = [
            "| name | value |",
            "| --- | --- |",
            *(f"| {key} | {value} |" for key, value in rows.items()),
        ]
        self._writer.add_text(name, "\n".join(lines), 0)

    def log_artifacts(self, path: Path) -> None:
        """TensorBoard keeps no files: their place is written down."""
        self._writer.add_text("artifacts", str(path), 0)

    def finish(self, status: Status) -> None:
        self._writer.add_text("status", status, 0)
        self._writer.close()
