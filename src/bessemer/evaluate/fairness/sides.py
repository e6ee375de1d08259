"""Which classes are looked at: the favourable one against the rest, or, where none is named, each against the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bessemer.core.errors import did_you_mean
from bessemer.evaluate.fairness.partition import Partition
from bessemer.stats.fairness import DECISIONS, ESTIMATES, Criterion, Decisions, Estimates
from bessemer.stats.metrics.outcome import Outcome

#: Without a favourable class, so many of the most frequent classes are judged one against the rest.
MOST_CLASSES = 10


@dataclass(frozen=True)
class Side:
    """One class against the rest. index: of the class; None in a regression. label: '' where it is the only side."""

    index: int | None
    label: str

    def figures(self, outcome: Outcome, partition: Partition) -> Decisions | Estimates:
        """The figures of an outcome by the groups of a partition."""
        groups = len(partition.labels)
        if self.index is None:
            return Estimates(partition.codes, groups, outcome.truth, outcome.predicted)
        return Decisions(
            partition.codes,
            groups,
            outcome.truth == self.index,
            outcome.predicted == self.index,
            outcome.probability[:, self.index],
        )


def criteria_of(task: str) -> dict[str, Criterion]:
    return dict(ESTIMATES if task == "regression" else DECISIONS)


def sides_of(outcome: Outcome, classes: Sequence[Any], favourable: Any) -> tuple[list[Side], str]:
    """The sides, and a note where classes are left out."""
    if outcome.task == "regression":
        return [Side(None, "")], ""
    if favourable is not None:
        return [Side(_texts(classes).index(_text(favourable)), "")], ""
    if outcome.task == "binary":
        return [Side(1, "")], ""
    sizes = np.bincount(outcome.truth.astype(np.int64), minlength=len(classes))
    kept = np.argsort(-sizes, kind="stable")[:MOST_CLASSES]
    rest = len(classes) - len(kept)
    note = f"{rest} rarer classes are not judged one against the rest" if rest else ""
    return [Side(int(k), _texts(classes)[int(k)]) for k in np.sort(kept)], note


def favourable_fault(task: str, classes: Sequence[Any], favourable: Any) -> tuple[str, str] | None:
    """What is wrong with the favourable class and how to mend it, or None."""
    if favourable is None:
        return None
    if task == "regression":
        return "the target is a number and has no favourable class", "leave it out"
    if _text(favourable) in _texts(classes):
        return None
    return f"the target has no class {favourable!r}", did_you_mean(_text(favourable), _texts(classes))


def _texts(classes: Sequence[Any]) -> list[str]:
    return [_text(name) for name in classes]


def _text(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).lower() if isinstance(value, bool) else str(value)
