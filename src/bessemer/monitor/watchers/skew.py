"""Training/serving skew: the package must say of the logged inputs what the server said."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from bessemer.core.spec import Spec
from bessemer.monitor.finding import Kind, Test
from bessemer.monitor.watching.drawn import batches_of
from bessemer.monitor.watching.watched import Said, Watched
from bessemer.package.parity import TOLERANCE


class SkewSettings(Spec):
    """How much is scored again."""

    rows: int | None = Field(
        10_000, ge=1, description="How many rows of a window are scored again, a draw; `null` takes all."
    )


class Skew:
    """Rows are scored again by the package and compared with the log. A difference is a fact.

    A prediction must be the same, and a probability or score within the tolerance that a package is made with: sums in
    another order, on another machine, differ in the last digits. How many rows are the same to the last bit is shown.
    Nothing can be said where an input is hashed or left out of the log.
    """

    kind: ClassVar[Kind] = "model"
    again: ClassVar[bool] = False
    Settings: ClassVar[type[Spec]] = SkewSettings

    def __init__(self, settings: SkewSettings) -> None:
        self._most = settings.rows

    def watch(self, watched: Watched) -> Said:
        inputs = [field.name for field in watched.model.signature.inputs]
        hidden = [name for name in inputs if name not in watched.window.inputs]
        if hidden:
            return Said((), {"provable": False, "hidden": hidden})
        found = _Compared()
        for batch in batches_of(watched.window, inputs, most=self._most):
            if batch.num_rows:
                _compare(watched.model, batch, inputs, found)
        return Said(tuple(found.tests(self.kind)), {"provable": True, **found.to_json()})


class _Compared:
    """rows: looked at; same: to the last bit; differ: rows by output; worst: the greatest difference by output."""

    def __init__(self) -> None:
        self.rows = self.same = 0
        self.differ: dict[str, int] = {}
        self.worst: dict[str, float] = {}

    def to_json(self) -> dict[str, Any]:
        return {"rows": self.rows, "same": self.same, "differ": self.differ, "worst": self.worst}

    def add(self, name: str, wrong: Any, worst: float) -> None:
        self.differ[name] = self.differ.get(name, 0) + int(wrong.sum())
        self.worst[name] = max(self.worst.get(name, 0.0), worst)

    def tests(self, kind: Kind) -> Iterator[Test]:
        for name, rows in self.differ.items():
            if rows:
                told = (
                    f"{rows:,} of {self.rows:,} logged rows have another {name} than the package gives "
                    f"(by up to {self.worst[name]:.3g}): another model answers, or rows are changed on their way"
                )
                yield Test("skew", name, kind, "rows that differ", rows, told, of="output")


def _compare(model: Any, batch: Any, inputs: list[str], found: _Compared) -> None:
    import pyarrow as pa

    given = pa.Table.from_arrays([batch.column(f"in.{name}") for name in inputs], names=inputs)
    wanted = [*(() if model.task == "regression" else ("probability",)), "score", "prediction"]
    made = model.session.run(given, wanted, allow_missing=True)
    same = np.ones(batch.num_rows, dtype=bool)
    for name, fresh in _named(model, made).items():
        logged = batch.column(f"out.{name}")
        there = np.ones(len(logged), dtype=bool)
        if name != "prediction":  # a protocol may ask for no more than that
            there = logged.is_valid().to_numpy(zero_copy_only=False)
            if not there.any():
                continue
        if fresh.dtype == object or fresh.dtype.kind in "bi":
            told = np.array(logged.to_pylist(), dtype=object)
            wrong = told != np.array(fresh.tolist(), dtype=object)
            same &= ~wrong
            found.add(name, wrong, float(wrong.any()))
            continue
        away, equal = _distance(logged.to_numpy(zero_copy_only=False), fresh)
        same &= equal | ~there
        away = np.where(there, away, 0.0)
        found.add(name, ~(away <= TOLERANCE), float(np.nan_to_num(away, nan=np.inf).max(initial=0.0)))
    found.rows += batch.num_rows
    found.same += int(same.sum())


def _named(model: Any, made: dict[str, Any]) -> dict[str, Any]:
    """The outputs by their names in the log, (n,) each."""
    if model.task == "regression":
        return {"prediction": made["prediction"].reshape(-1)}
    score = made["score"].reshape(len(made["prediction"]), -1)
    if model.task == "binary":
        each = {"probability": made["probability"][:, 1], "score": score[:, 0]}
    else:
        each = {f"probability_{name}": made["probability"][:, k] for k, name in enumerate(model.classes)}
        each |= {f"score_{name}": score[:, k] for k, name in enumerate(model.classes)}
    return {"prediction": made["prediction"].reshape(-1), **each}


def _distance(logged: Any, fresh: Any) -> tuple[Any, Any]:
    """The difference, relative where numbers are above 1, float64 (n,), NaN where one side alone is no number; and
    whether both are the same float32."""
    a, b = logged.astype(np.float32), fresh.astype(np.float32)
    equal = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(invalid="ignore"):
        away = np.abs(a.astype(np.float64) - b.astype(np.float64)) / np.maximum(1.0, np.abs(b))
    return np.where(equal, 0.0, away), equal
