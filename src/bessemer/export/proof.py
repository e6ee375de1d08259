"""Whether an exported model answers as its package does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bessemer.export.protocol import Answers
from bessemer.export.samples import Samples
from bessemer.package.model import Model


@dataclass(frozen=True)
class Proof:
    """What a comparison found, or why there was none.

    difference: the greatest one, of probabilities; of values relative to their size where that is above 1. flips: rows
    of another class (0 of a regression).
    """

    runtime: str
    rows: int
    difference: float
    flips: int
    limit: float
    not_run: str = ""
    beside: Mapping[str, Any] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether nothing speaks against it; what was not run is told apart by `not_run`."""
        return bool(self.not_run) or self.difference <= self.limit

    def to_json(self) -> dict[str, Any]:
        if self.not_run:
            return {"run": False, "why": self.not_run, "limit": self.limit}
        told = {
            "run": True,
            "runtime": self.runtime,
            "rows": self.rows,
            "max_difference": self.difference,
            "label_flips": self.flips,
            "limit": self.limit,
            "passed": self.passed,
        }
        return {**told, **({"measured": dict(self.beside)} if self.beside else {})}


def not_run(why: str, limit: float) -> Proof:
    return Proof("", 0, float("nan"), 0, limit, why)


def compare(model: Model, samples: Samples, answers: Answers, limit: float) -> Proof:
    """Hold the answers of an artefact against the package's.

    An answer that is NaN differs without bound, and so does one for another number of rows or classes.
    """
    if answers.values.shape != samples.values.shape:
        return Proof(answers.runtime, len(samples), float("inf"), len(samples), limit, "", answers.beside)
    theirs, ours = answers.values.astype(np.float64), samples.values.astype(np.float64)
    away = np.abs(theirs - ours)
    if model.task == "regression":
        away = away / np.maximum(1.0, np.abs(ours))
    worst = float(np.where(np.isfinite(away), away, np.inf).max(initial=0.0))
    return Proof(
        answers.runtime, len(samples), worst, _flips(model, samples, answers), limit, "", answers.beside
    )


def _flips(model: Model, samples: Samples, answers: Answers) -> int:
    if model.task == "regression":
        return 0
    labels = answers.labels if answers.labels is not None else labels_of(model, answers.values, samples)
    return sum(_text(a) != _text(b) for a, b in zip(labels, samples.labels, strict=True))


def labels_of(model: Model, probability: np.ndarray, samples: Samples) -> list[Any]:
    """The class of each row by its probabilities and the package's decision."""
    from bessemer.package.decision import Decision

    if model.task != "binary":
        return [model.classes[i] for i in probability.argmax(axis=1)]
    decision = Decision.from_json(model.info.get("decision"))
    thresholds = (
        decision.thresholds(_columns(model, samples), len(samples)) if decision.groups else decision.threshold
    )
    return [model.classes[int(yes)] for yes in probability[:, 1].astype(np.float32) >= np.float32(thresholds)]


def _columns(model: Model, samples: Samples) -> Any:
    from bessemer.package.tabular import as_table

    return as_table(samples.rows)


def _text(label: Any) -> str:
    return str(label).lower() if isinstance(label, bool) else str(label)
