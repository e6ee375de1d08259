"""How decisions and errors differ between groups of rows: figures by group, and the usual criteria of them.

The figures of all groups come from a few weighted counts, so that a bootstrap of them is cheap. The criteria are
differences (or a ratio) between two groups of one figure, as in fairlearn (Bird et al. 2020): demographic parity
(Dwork et al. 2012), equal opportunity and equalised odds (Hardt, Price, Srebro 2016), predictive parity (Chouldechova
2017), and the four-fifths rule of disparate impact (EEOC 1978, Feldman et al. 2015).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bessemer.stats.arrays import Bools, Floats, Ints, Weights

#: Bins of the calibration error of a group, as of the whole.
BINS = 15


@dataclass(frozen=True)
class Criterion:
    """A difference between groups.

    figures: what is compared; of several, the one whose difference is greatest.
    ratio: the smallest over the greatest instead of the difference.
    lowest_first: whether the group with the lowest figure is the one that is worse off.
    """

    name: str
    figures: tuple[str, ...]
    meaning: str
    ratio: bool = False
    lowest_first: bool = True


def _table(*criteria: Criterion) -> dict[str, Criterion]:
    return {criterion.name: criterion for criterion in criteria}


#: Of decisions: a classifier, one class of which is favourable.
DECISIONS: Mapping[str, Criterion] = _table(
    Criterion(
        "demographic_parity", ("selection_rate",), "difference of the shares that get the favourable outcome"
    ),
    Criterion(
        "disparate_impact",
        ("selection_rate",),
        "ratio of these shares, 0.8 by the four-fifths rule",
        ratio=True,
    ),
    Criterion("equal_opportunity", ("tpr",), "difference of the shares found of those who deserve it"),
    Criterion("equalised_odds", ("tpr", "fpr"), "the greater difference of true and false positive rates"),
    Criterion(
        "predictive_parity", ("precision",), "difference of the shares that are right among those selected"
    ),
    Criterion("calibration_gap", ("bias",), "difference of mean probability less actual share"),
    Criterion("accuracy_equality", ("accuracy",), "difference of the shares of right predictions"),
)
#: Of predicted numbers.
ESTIMATES: Mapping[str, Criterion] = _table(
    Criterion(
        "mean_error", ("mean_error",), "difference of the mean of prediction less truth, in the target's unit"
    ),
    Criterion(
        "mae", ("mae",), "difference of the mean absolute errors, in the target's unit", lowest_first=False
    ),
    Criterion("mae_ratio", ("mae",), "ratio of the mean absolute errors", ratio=True, lowest_first=False),
    Criterion(
        "mean_prediction", ("mean_prediction",), "difference of the mean predictions, in the target's unit"
    ),
)

DECISION_FIGURES = (
    "base_rate",
    "selection_rate",
    "tpr",
    "fpr",
    "precision",
    "accuracy",
    "mean_probability",
    "bias",
    "ece",
)
ESTIMATE_FIGURES = ("mean_truth", "mean_prediction", "mean_error", "mae")


def _shares(top: NDArray[Any], bottom: Floats) -> Floats:
    found: Floats = np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom > 0)
    return found


class Decisions:
    """Decisions about rows in groups, ready for any number of weightings.

    Args:
        codes: int64 (n,), the group of a row in [0, groups); another number for a row of no group.
        truth, selected: bool (n,), whether the row is of the favourable class, and whether it was said to be.
        probability: float (n,), of the favourable class.

    >>> one = Decisions([0, 0, 1, 1], 2, [1, 0, 1, 0], [1, 1, 0, 0], [0.9, 0.6, 0.4, 0.2])
    >>> one()[DECISION_FIGURES.index("selection_rate")].tolist()
    [1.0, 0.0]
    """

    figures = DECISION_FIGURES

    def __init__(
        self, codes: ArrayLike, groups: int, truth: ArrayLike, selected: ArrayLike, probability: ArrayLike
    ) -> None:
        given = np.asarray(codes, dtype=np.int64)
        self._rows = np.flatnonzero((given >= 0) & (given < groups))
        code = given[self._rows]
        y, s = (np.asarray(part, dtype=np.bool_)[self._rows].astype(np.int64) for part in (truth, selected))
        self._p: Floats = np.asarray(probability, dtype=np.float64)[self._rows]
        self._y: Floats = y.astype(np.float64)
        self._groups = groups
        self._cell: Ints = code * 4 + y * 2 + s
        bins = np.minimum((self._p * BINS).astype(np.int64), BINS - 1)
        self._bin: Ints = code * BINS + bins

    def counts(self, weights: Weights = None) -> Floats:
        """Weight in each cell, float64 (groups, 2, 2): by truth, then by decision."""
        own = None if weights is None else weights[self._rows]
        found = np.bincount(self._cell, own, minlength=4 * self._groups).astype(np.float64)
        return found.reshape(self._groups, 2, 2)

    def __call__(self, weights: Weights = None) -> Floats:
        """`DECISION_FIGURES` by group, float64 (figures, groups); NaN where a figure has no rows.

        base_rate: actual share; tpr, fpr: share selected of those that are and are not of the class; precision: share
        that is right of those selected; bias: mean probability less base rate; ece: over 15 bins of equal width.
        """
        own = np.ones(len(self._rows)) if weights is None else weights[self._rows]
        cells = self.counts(weights)
        (tn, fp), (fn, tp) = cells[:, 0].T, cells[:, 1].T
        rows = tn + fp + fn + tp
        shape = (self._groups, BINS)
        said = np.bincount(self._bin, own * self._p, minlength=shape[0] * BINS).reshape(shape)
        happened = np.bincount(self._bin, own * self._y, minlength=shape[0] * BINS).reshape(shape)
        base, mean = _shares(tp + fn, rows), _shares(said.sum(axis=1), rows)
        return np.array(
            [
                base,
                _shares(tp + fp, rows),
                _shares(tp, tp + fn),
                _shares(fp, fp + tn),
                _shares(tp, tp + fp),
                _shares(tp + tn, rows),
                mean,
                mean - base,
                _shares(np.abs(said - happened).sum(axis=1), rows),
            ]
        )

    def bases(self) -> dict[str, Floats]:
        """How many rows each figure is a share of, by group: float64 (groups,)."""
        cells = self.counts()
        rows, selected = cells.sum(axis=(1, 2)), cells[:, :, 1].sum(axis=1)
        special = {"tpr": cells[:, 1].sum(axis=1), "fpr": cells[:, 0].sum(axis=1), "precision": selected}
        return {name: special.get(name, rows) for name in self.figures}

    def differences(self) -> tuple[Floats, Floats]:
        """Mean and variance of probability less truth, by group; the mean is `bias`."""
        return _spread(self._cell // 4, self._p - self._y, self._groups)


class Estimates:
    """Predicted numbers of rows in groups, ready for any number of weightings.

    >>> Estimates([0, 0, 1], 2, [1.0, 2.0, 3.0], [1.0, 4.0, 3.0])()[3].tolist()
    [1.0, 0.0]
    """

    figures = ESTIMATE_FIGURES

    def __init__(self, codes: ArrayLike, groups: int, truth: ArrayLike, predicted: ArrayLike) -> None:
        given = np.asarray(codes, dtype=np.int64)
        self._rows = np.flatnonzero((given >= 0) & (given < groups))
        self._code: Ints = given[self._rows]
        self._groups = groups
        self._truth: Floats = np.asarray(truth, dtype=np.float64)[self._rows]
        self._predicted: Floats = np.asarray(predicted, dtype=np.float64)[self._rows]
        self._error: Floats = self._predicted - self._truth

    def __call__(self, weights: Weights = None) -> Floats:
        """`ESTIMATE_FIGURES` by group, float64 (figures, groups), in the target's unit; NaN where there are no rows."""
        own = np.ones(len(self._rows)) if weights is None else weights[self._rows]

        def total(values: Floats | float) -> Floats:
            return np.bincount(self._code, own * values, minlength=self._groups).astype(np.float64)

        rows = total(1.0)
        parts = (self._truth, self._predicted, self._error, np.abs(self._error))
        return np.array([_shares(total(part), rows) for part in parts])

    def bases(self) -> dict[str, Floats]:
        rows = np.bincount(self._code, minlength=self._groups).astype(np.float64)
        return dict.fromkeys(self.figures, rows)

    def spread(self, figure: str) -> tuple[Floats, Floats]:
        """Mean and variance of what a figure is the mean of, by group."""
        parts = {
            "mean_error": self._error,
            "mae": np.abs(self._error),
            "mean_prediction": self._predicted,
            "mean_truth": self._truth,
        }
        return _spread(self._code, parts[figure], self._groups)


def _spread(codes: Ints, values: Floats, groups: int) -> tuple[Floats, Floats]:
    rows = np.bincount(codes, minlength=groups).astype(np.float64)
    mean = _shares(np.bincount(codes, values, minlength=groups), rows)
    squares = np.bincount(codes, (values - np.nan_to_num(mean)[codes]) ** 2, minlength=groups)
    return mean, _shares(squares, rows - 1)


@dataclass(frozen=True)
class Pair:
    """The two groups that a criterion compares, of one figure: `low` has the lower value of it."""

    figure: str
    low: int
    high: int


def widest(criterion: Criterion, values: Mapping[str, Floats], allowed: Mapping[str, Bools]) -> Pair | None:
    """The two groups that are furthest apart; None where fewer than two can be compared.

    Args:
        values: by figure, float64 (groups,). allowed: by figure, bool (groups,): which groups are compared.
    """
    found: list[tuple[float, Pair]] = []
    for figure in criterion.figures:
        usable = np.flatnonzero(allowed[figure] & np.isfinite(values[figure]))
        if len(usable) < 2:
            continue
        own = values[figure][usable]
        low, high = int(usable[np.argmin(own)]), int(usable[np.argmax(own)])
        if low == high:  # all are equal
            low, high = int(usable[0]), int(usable[1])
        found.append((float(values[figure][high] - values[figure][low]), Pair(figure, low, high)))
    return max(found, key=lambda item: item[0])[1] if found else None


def between(criterion: Criterion, low: Floats, high: Floats) -> Floats:
    """The criterion of two groups' figures, elementwise: high - low, or low / high (1 where both are zero).

    >>> between(DECISIONS["disparate_impact"], np.array([0.2]), np.array([0.4])).tolist()
    [0.5]
    """
    if not criterion.ratio:
        return high - low
    # Over the resamples the order of the two may turn; a ratio is of the smaller to the greater of the whole.
    ratio: Floats = np.divide(low, high, out=np.full_like(high, np.inf), where=high != 0)
    return np.where((low == 0) & (high == 0), 1.0, np.where(np.isinf(ratio), np.nan, ratio))
