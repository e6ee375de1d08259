"""How many digits a number has in the page: few, but never so few that what differs falls together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

#: Significant digits of a number in the page; of one from `LARGE` on, and of a raw value or a column's own figure.
DIGITS, EXACT = 6, 10
LARGE = 1e5
#: A float has no more digits than this that are sure.
_MOST = 15


def rounded(value: Any, digits: int = DIGITS) -> Any:
    """A number, or lists of numbers to any depth, with the digits that a reader or a picture can use.

    The numbers of a list get more digits where they lie close together far from zero: `DIGITS` of their spread. So do
    the numbers at the same place of the rows of a table (a list of lists). What is no float stays.

    >>> rounded(1 / 3), rounded(1234567890.25)
    (0.333333, 1234567890.0)
    >>> rounded([1e9 + 1 / 3, 1e9 + 2 / 3])
    [1000000000.33333, 1000000000.66667]
    >>> rounded([["a", 37.77490001], ["b", 37.77490002]])
    [['a', 37.77490001], ['b', 37.77490002]]
    """
    return _each(value, digits) if isinstance(value, list) else _number(value, digits)


def _each(values: list[Any], digits: int) -> list[Any]:
    if not any(isinstance(value, list) for value in values):
        own = max(digits, digits_of(values))
        return [_number(value, own) for value in values]
    if not all(isinstance(value, list) for value in values):
        return [rounded(value, digits) for value in values]
    width = max(map(len, values))
    columns = [
        max(digits, digits_of([row[k] for row in values if k < len(row) and isinstance(row[k], float)]))
        for k in range(width)
    ]
    return [[rounded(value, columns[k]) for k, value in enumerate(row)] for row in values]


def digits_of(values: Sequence[Any]) -> int:
    """The digits by which floats that are given together can be told apart, at least `DIGITS`."""
    known = [value for value in values if isinstance(value, float) and math.isfinite(value)]
    if len(known) < 2:
        return DIGITS
    low, high = min(known), max(known)
    size, spread = max(abs(low), abs(high)), high / 2 - low / 2
    if spread <= 0:
        return DIGITS
    return min(_MOST, DIGITS + max(0, math.floor(math.log10(size / 2 / spread))))


def _number(value: Any, digits: int) -> Any:
    if not isinstance(value, float):
        return value
    return float(f"{value:.{max(digits, EXACT) if abs(value) >= LARGE else digits}g}")
