"""Which columns go together, and which tell the target: on a bounded sample, whatever the number of rows.

Numbers (booleans and times among them) are compared by Spearman's correlation, categories by Cramér's V, a number and a
category by the correlation ratio of its ranks; the last two are corrected for the number of categories. A number and
a column of two values are compared by 2 AUC - 1, which is 1 where the number tells the value, however rare that is.
Each pair takes the rows in which both are known.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.report.data.parts import numbers
from bessemer.stats.arrays import Bools, Floats, tidy
from bessemer.stats.dependence import correlation, correlation_ratio, cramers_v, mean_ranks, separation

if TYPE_CHECKING:
    from bessemer.report.data.layout import Layout
    from bessemer.report.data.sample import Sample
    from bessemer.report.data.target import Target

#: Rows of a comparison, and columns in the map: those that have most to do with the target.
ROWS, COLUMNS = 10_000, 40
#: Two columns that go together this closely say the same.
SAME = 0.99
#: Blocks of the jackknife, and Student's t of 95 % for them.
_BLOCKS, _T = 20, 2.093


@dataclass(frozen=True)
class Variable:
    """A column as it is compared. values: numbers with NaN, float64 (n,), or category codes with -1, int64 (n,)."""

    name: str
    number: bool
    values: Any

    @cached_property
    def known(self) -> Bools:
        return np.asarray(~np.isnan(self.values) if self.number else self.values >= 0)

    @cached_property
    def two_valued(self) -> bool:
        return len(np.unique(self.values[self.known])) == 2

    @cached_property
    def ranks(self) -> Floats:
        """Ranks of the known values, among themselves; 0 where a value is missing."""
        found = np.zeros(len(self.values))
        found[self.known] = mean_ranks(self.values[self.known])
        return found


def strength(a: Variable, b: Variable, rows: Bools | None = None) -> float:
    """How closely two columns go together over the given rows: signed for two numbers, else in [0, 1]; NaN: unknown."""
    both = a.known & b.known if rows is None else a.known & b.known & rows
    if a.two_valued != b.two_valued:
        two, other = (a, b) if a.two_valued else (b, a)
        if other.number:
            found = separation(two.values[both] == two.values[two.known].max(), _ranks(other, both))
            return found if two.number else abs(found)
    if a.number and b.number:
        return correlation(_ranks(a, both), _ranks(b, both))
    if a.number or b.number:
        number, category = (a, b) if a.number else (b, a)
        return correlation_ratio(category.values[both], _ranks(number, both))
    left, right = a.values[both], b.values[both]
    if not len(left):
        return math.nan
    width = int(right.max()) + 1
    table = np.bincount(left * width + right, minlength=(int(left.max()) + 1) * width)
    return cramers_v(table.reshape(-1, width))


def _ranks(variable: Variable, rows: Bools) -> Floats:
    """Ranks among the given rows: those among all where no row with a value is left out."""
    if np.array_equal(rows, variable.known):
        return variable.ranks[rows]
    return mean_ranks(variable.values[rows])


def interval(a: Variable, b: Variable) -> tuple[float, float]:
    """A 95 % interval of `strength`, by the jackknife over 20 blocks of rows (Tukey 1958)."""
    block = np.arange(len(a.values)) % _BLOCKS
    left_out = np.array([strength(a, b, block != i) for i in range(_BLOCKS)])
    middle = strength(a, b)
    spread = math.sqrt((_BLOCKS - 1) / _BLOCKS * float(np.sum((left_out - left_out.mean()) ** 2)))
    low = -1.0 if a.number and b.number else 0.0
    return max(low, middle - _T * spread), min(1.0, middle + _T * spread)


def variables(sample: Sample, layouts: Sequence[Layout], target: Target) -> tuple[Variable, list[Variable]]:
    """The target, and the columns that can be compared: neither constant nor free text."""
    chosen = np.unique(np.linspace(0, len(sample) - 1, min(ROWS, len(sample))).astype(np.int64))
    y, number = sample.y[chosen], target.task != "multiclass"
    goal = Variable(target.name, number, y if number else y.astype(np.int64))
    found = []
    for layout in layouts:
        if (
            layout.name == target.name
            or layout.distinct < 2
            or layout.kind in ("text", "identifier", "image")
        ):
            continue
        array = sample.column(layout.name)
        if layout.kind == "category":
            codes = layout.bins.codes(array)[chosen]
            values: Any = np.where(codes == layout.bins.size, -1, codes)
        else:
            values = numbers(array)[chosen]
        found.append(Variable(layout.name, layout.kind != "category", values))
    return goal, found


def associations(sample: Sample, layouts: Sequence[Layout], target: Target) -> dict[str, Any]:
    """What the page draws of it.

    Returns:
        target: {column: {value, low, high}}, the interval for those in the map; columns: names in the map, the
        target first; numbers: whether each is compared as a number; matrix: figures by row, None where unknown;
        rows: of the sample that was compared; same: pairs of columns that say the same.
    """
    goal, others = variables(sample, layouts, target)
    with_target = {other.name: strength(goal, other) for other in others}
    ranked = sorted(others, key=_by(with_target))[:COLUMNS]
    facts = {name: {"value": value} for name, value in with_target.items() if not math.isnan(value)}
    for other in ranked:
        if other.name in facts:
            facts[other.name] |= dict(zip(("low", "high"), interval(goal, other), strict=True))
    shown = [goal, *ranked]
    matrix = np.ones((len(shown), len(shown)))
    for i, a in enumerate(shown):
        for j, b in enumerate(shown[:i]):
            matrix[i, j] = matrix[j, i] = strength(a, b)
    return {
        "target": tidy(facts, 3),
        "columns": [variable.name for variable in shown],
        "numbers": [variable.number for variable in shown],
        "matrix": tidy(matrix, 3),
        "rows": len(goal.values),
        "left_out": len(others) - len(ranked),
        "same": _same(ranked, matrix[1:, 1:]),
    }


def _by(figures: Mapping[str, float]) -> Callable[[Variable], tuple[float, str]]:
    return lambda variable: (-abs(np.nan_to_num(figures[variable.name], nan=0.0)), variable.name)


def _same(columns: Sequence[Variable], matrix: Floats) -> list[list[Any]]:
    """A number that tells which of two values a column has says more than that column, and so not the same."""
    pairs = [
        (i, j)
        for i in range(len(columns))
        for j in range(i)
        if abs(matrix[i, j]) >= SAME and columns[i].two_valued == columns[j].two_valued
    ]
    return [[columns[j].name, columns[i].name, tidy(float(matrix[i, j]), 3)] for i, j in pairs]
