"""What a counterfactual should be predicted as: another class, or a value on the other side of a bound."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.core.errors import did_you_mean

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

    from bessemer.explain.sample import Floats
    from bessemer.explain.subject import Subject

_NUMBER = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
_BOUND = re.compile(rf"\s*(>=|<=|>|<)\s*([-+]?{_NUMBER})\s*")
_SHIFT = re.compile(rf"\s*([-+])\s*({_NUMBER})\s*(%?)\s*")


@dataclass(frozen=True)
class Aim:
    """An aim for one row. text: as a reader knows it. The gain of a prediction is how far beyond its bound the score
    is: what is above 0 is reached.

    output: the class that is wanted. sign, bound: in regression, sign * (value - bound) must be above 0.
    """

    text: Any
    output: int = 0
    sign: float = 1.0
    bound: float = 0.0
    strict: bool = True

    def gain(self, subject: Subject, table: pa.Table) -> Floats:
        """Of raw rows (N,), on the scale of the score: what is beyond the next class, the threshold, the bound."""
        score = subject.scored(table)
        if subject.task == "multiclass":
            others = np.delete(score, self.output, axis=1)
            margin: Floats = score[:, self.output] - others.max(axis=1)
            return margin
        if subject.task == "binary":
            beyond: Floats = score[:, 0] - subject.boundary(table)
            return beyond if self.output == 1 else -beyond
        over: Floats = self.sign * (score[:, 0] - self.bound)
        return over

    def reached(self, subject: Subject, found: Floats) -> npt.NDArray[np.bool_]:
        """Whether what the graph predicts, (N,) class indices or values, is what was wanted."""
        if subject.task == "regression":
            beyond = self.sign * (found - self.bound)
            return np.asarray(beyond > 0 if self.strict else beyond >= 0)
        return np.asarray(found == self.output)


def wrong_aim(wanted: str | None, subject: Subject) -> str:
    """Why nothing of this model can be wanted so, in a sentence; '' where it can."""
    if wanted is None:
        return ""
    if subject.task == "regression":
        if _SHIFT.fullmatch(wanted) or _BOUND.fullmatch(wanted):
            return ""
        return f"'{wanted}' is no bound that can be wanted: write '> 100', '<= 5', '+10%' or '-20'"
    names = [str(name) for name in subject.classes]
    return "" if wanted in names else f"it has no class '{wanted}' ({did_you_mean(wanted, names)})"


def aim_of(
    wanted: str | None, subject: Subject, prediction: float, score: Floats, middle: float
) -> Aim | None:
    """What one row should become; None where it is that already.

    Args:
        wanted: a class; "> 100" or "+10%", "-5" in regression; None for the next best class, or the other side of
            `middle`.
        prediction: the class index, or the value. score: (K,) of the row.

    `wanted` is one that `wrong_aim` has nothing against.
    """
    if subject.task == "regression":
        return _of_value(wanted, prediction, middle)
    classes = {str(name): i for i, name in enumerate(subject.classes)}
    if wanted is None:
        output = 1 - int(prediction)
        if subject.task == "multiclass":
            output = int(np.argsort(-score, kind="stable")[:2][-1])
        return Aim(subject.classes[output], output)
    output = classes[wanted]
    return None if output == int(prediction) else Aim(subject.classes[output], output)


_SIGNS: Mapping[str, float] = {">": 1.0, ">=": 1.0, "<": -1.0, "<=": -1.0, "+": 1.0, "-": -1.0}


def _of_value(wanted: str | None, prediction: float, middle: float) -> Aim | None:
    if wanted is None:
        above = prediction > middle
        return Aim(f"{'<' if above else '>'} {middle:.6g}", sign=-1.0 if above else 1.0, bound=middle)
    if found := _SHIFT.fullmatch(wanted):
        sign, step = _SIGNS[found[1]], float(found[2])
        by = step / 100 * abs(prediction) if found[3] else step
        bound = prediction + sign * by
        return Aim(f"{'>=' if sign > 0 else '<='} {bound:.6g}", sign=sign, bound=bound, strict=False)
    found = _BOUND.fullmatch(wanted)
    assert found is not None, wrong_aim
    sign, bound = _SIGNS[found[1]], float(found[2])
    strict = "=" not in found[1]
    beyond = sign * (prediction - bound)
    if beyond > 0 or (beyond == 0 and not strict):
        return None
    return Aim(f"{found[1]} {bound:.6g}", sign=sign, bound=bound, strict=strict)
