"""A prediction log as a server writes it, by a clock that the test turns, and who watches it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from package_support import given, labels

import bessemer
from bessemer.monitor.spec import MonitorSpec
from bessemer.monitor.store import MonitorStore
from bessemer.monitor.watch import Watch
from bessemer.serve.log.entry import Entry, Label
from bessemer.serve.log.prediction_log import PredictionLog
from bessemer.serve.log.spec import LogSpec
from bessemer.testing.models import CLASSES, INPUTS, tiny_model, tiny_signature

DAY = dt.datetime(2026, 3, 1)


def at(hours: float) -> dt.datetime:
    return DAY + dt.timedelta(hours=hours)


def seconds(moment: dt.datetime) -> float:
    return moment.replace(tzinfo=dt.UTC).timestamp()


class Server:
    """Logs what the tiny model says of rows at a time, and takes labels for them."""

    def __init__(self, folder: Path, task: Any = "binary", **settings: Any) -> None:
        self.log = PredictionLog(LogSpec(folder=str(folder), keep=None, **settings))
        self.log.register("tiny", "1.0.0", tiny_signature(task))
        self._model, self._task = tiny_model(task), task

    def answer(self, hour: float, n: int, seed: int, **changes: Any) -> list[str]:
        data = given(n, seed)
        for name, values in changes.items():
            data = data.set_column(data.schema.get_field_index(name), name, [values])
        return self.say(hour, data)

    def say(self, hour: float, data: pa.Table) -> list[str]:
        """Answer these rows; gives their ids."""
        n = data.num_rows
        names = (
            ["prediction", "score"] if self._task == "regression" else ["prediction", "probability", "score"]
        )
        outputs = self._model.session.run(data, names)
        rows = list(zip(*(data.column(field.name).to_pylist() for field in INPUTS), strict=True))
        ids = [f"{hour:g}-{i}" for i in range(n)]
        where = {
            "time": seconds(at(hour)),
            "latency": [0.001] * n,
            "client": ["me"] * n,
            "dialect": ["plain"] * n,
        }
        self.log.take(Entry("tiny", "1.0.0", ids, rows, None, outputs, **where))
        return ids

    def label(self, hour: float, ids: list[str], seed: int, flipped: float) -> None:
        self.tell(hour, ids, labels(given(len(ids), seed), self._task, 99, flipped=flipped))

    def tell(self, hour: float, ids: Sequence[str], truth: Any) -> None:
        """Give labels: class indices, or numbers."""
        of = CLASSES[self._task]
        values = [of[int(k)] for k in truth] if of else [float(value) for value in truth]
        self.log.feedback("tiny", [Label(i, v, seconds(at(hour))) for i, v in zip(ids, values, strict=True)])


def watching(folder: Path, package: Path, **settings: Any) -> Watch:
    spec = MonitorSpec(
        **{"every": "1h", "rows": 200, "false_alarms": "1 per year", "again": ["1d"], **settings}
    )
    return Watch(bessemer.Monitor(package), folder / "log", MonitorStore(folder / "monitor.db"), spec)
