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

    difference: the greatest one, of probabilities; of values relative to their size, or to how far the package's lie
    apart where that is more. flips: rows of another class (0 of a regression). contradicted: rows whose class, as the
    artefact itself says it, is neither the package's nor that of its own probabilities.
    """

    runtime: str
    rows: int
    difference: float
    flips: int
    limit: float
    not_run: str = ""
    beside: Mapping[str, Any] = field(default_factory=dict)
    contradicted: int = 0

    @property
    def passed(self) -> bool:
        """Whether nothing speaks against it; what was not run is told apart by `not_run`. No rows prove nothing."""
        return bool(self.not_run) or (
            self.rows > 0 and self.contradicted == 0 and self.difference <= self.limit
        )

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
    labels = answers.labels
    if answers.values.shape != samples.values.shape or (labels is not None and len(labels) != len(samples)):
        return Proof(answers.runtime, len(samples), float("inf"), len(samples), limit, "", answers.beside)
    flips, contradicted = (0, 0) if model.task == "regression" else _labels_apart(model, samples, answers)
    return Proof(
        runtime=answers.runtime,
        rows=len(samples),
        difference=_difference(model, answers.values, samples.values),
        flips=flips,
        limit=limit,
        beside=answers.beside,
        contradicted=contradicted,
    )


def _difference(model: Model, theirs: np.ndarray, ours: np.ndarray) -> float:
    theirs, ours = theirs.astype(np.float64), ours.astype(np.float64)
    with np.errstate(invalid="ignore"):  # infinite ones
        away = np.abs(theirs - ours)
    if model.task == "regression":
        away = away / np.maximum(np.abs(ours), _spread(ours))
    return float(np.where(np.isfinite(away), away, np.inf).max(initial=0.0))


def _spread(values: np.ndarray) -> float:
    """The standard deviation; never 0, so that what is the same differs by 0."""
    finite = values[np.isfinite(values)]
    return max(float(finite.std()) if finite.size else 0.0, float(np.finfo(np.float32).tiny))


def _labels_apart(model: Model, samples: Samples, answers: Answers) -> tuple[int, int]:
    """How many classes are not the package's, and how many of those not even what the artefact's probabilities say."""
    said = labels_of(model, answers.values, samples)
    own = said if answers.labels is None else answers.labels
    rows = [(_text(a), _text(b), _text(c)) for a, b, c in zip(own, said, samples.labels, strict=True)]
    flips = sum(a != c for a, _, c in rows)
    return flips, sum(a != b and a != c for a, b, c in rows)


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
