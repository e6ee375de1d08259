"""How much of the doubt about the target a single column takes: what is too good to be true.

The bins of the pictures are equally wide, and one of them can hold nearly all rows; a number is cut here into bins of
about as many rows each, and for two classes also at the one place that tells them apart best.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from bessemer.report.data.bins import Lengths, lengths
from bessemer.report.data.parts import numbers
from bessemer.stats.arrays import Floats, Ints
from bessemer.stats.binning import quantile_cuts
from bessemer.stats.dependence import correlation_ratio, mean_ranks

if TYPE_CHECKING:
    from bessemer.report.data.layout import Layout
    from bessemer.report.data.sample import Sample
    from bessemer.report.data.target import Target

#: A column that takes so much of the doubt about the target is too good to be true.
PROXY = 0.95
#: Bins of a number, and the fewest rows of one: small bins tell the target by chance.
_BINS, _ROWS = 24, 20
#: The fewest rows on either side of a cut.
_SIDE = 5


def told(layout: Layout, sample: Sample, target: Target) -> float:
    """The share of the doubt about the target that a column alone takes, in [0, 1]; NaN: there is no doubt.

    Of classes it is Goodman and Kruskal's lambda: the share of the errors of always guessing the commonest class that
    guessing by bin, or by side of a cut, avoids. Of a number it is the share of its ranks' variance between the bins.
    "Missing" is a bin of its own.
    """
    array = sample.column(layout.name)
    if layout.kind in ("category", "identifier", "image", "boolean"):
        return _by_bin(layout.bins.codes(array), sample.y, target)
    values = lengths(array) if isinstance(layout.bins, Lengths) else numbers(array)
    found = _by_bin(quantile_codes(values), sample.y, target)
    return found if target.task != "binary" else max(found, by_cut(values, sample.y))


def quantile_codes(values: Floats) -> Ints:
    """Bins (n,) of about as many rows each, NaN in the last.

    >>> quantile_codes(np.array([np.nan, *range(40)]))[[0, 1, 20, 21]].tolist()
    [2, 0, 0, 1]
    """
    known = values[~np.isnan(values)]
    bins = max(1, min(_BINS, len(known) // _ROWS))
    cuts = np.unique(quantile_cuts(known, bins)) if len(known) else known
    codes = np.searchsorted(cuts, values).astype(np.int64)
    codes[np.isnan(values)] = len(cuts) + 1
    return codes


def by_cut(values: Floats, y: Floats) -> float:
    """The lambda of the best single cut of `values` (n,) for the classes 0 and 1 of `y` (n,); NaN as in `told`.

    >>> by_cut(np.arange(100.0), (np.arange(100) >= 94) * 1.0)
    1.0
    """
    ones, known = int(np.sum(y)), ~np.isnan(values)
    wrong = min(ones, len(y) - ones)
    if not wrong:
        return math.nan
    order = np.argsort(values[known], kind="stable")
    ordered, below = values[known][order], np.cumsum(y[known][order])
    rows = np.arange(1, len(ordered) + 1)
    here = np.append(ordered[1:] > ordered[:-1], False) if len(ordered) else np.zeros(0, dtype=np.bool_)
    here &= (rows >= _SIDE) & (rows <= len(ordered) - _SIDE)
    if not here.any():
        return 0.0
    left, n = below[here], rows[here]
    right, m = below[-1] - left, len(ordered) - n
    best = int(np.min(np.minimum(left, n - left) + np.minimum(right, m - right)))
    others = int(np.sum(y[~known]))
    missing = min(others, int(np.count_nonzero(~known)) - others)
    return max(0.0, 1 - (best + missing) / wrong)


def _by_bin(codes: Ints, y: Floats, target: Target) -> float:
    if target.task == "regression":
        return correlation_ratio(codes, mean_ranks(y)) ** 2
    width = int(y.max(initial=0)) + 1
    table = np.bincount(codes * width + y.astype(np.int64), minlength=(int(codes.max(initial=0)) + 1) * width)
    table = table.reshape(-1, width)
    wrong = int(table.sum() - table.sum(axis=0).max())
    return 1 - int(table.sum() - table.max(axis=1).sum()) / wrong if wrong else math.nan
