"""Columns cut into what a reader would say of them: quantiles of numbers, categories, and missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from bessemer.explain.perturb import Column
    from bessemer.explain.sample import Floats


def quantile_edges(values: Floats, bins: int) -> Floats:
    """Ascending inner edges of up to `bins` bins `(edge, next edge]`; every edge is a value that occurs.

    >>> quantile_edges(np.array([1.0, 2, 3, 4, np.nan]), 2).tolist()
    [2.0]
    >>> quantile_edges(np.array([7.0, 7, 7]), 4).tolist()
    []
    """
    known = np.sort(values[~np.isnan(values)])
    if not len(known):
        return known
    edges = np.unique(np.quantile(known, np.arange(1, bins) / bins, method="lower"))
    inner: Floats = edges[edges < known[-1]]
    return inner


def same_as(column: Column, at: int, first: int, bins: int) -> npt.NDArray[np.bool_]:
    """Whether each value is like the one at `at`: in its bin, of its category, or missing as it is. (N,)

    The edges are quantiles of the values from `first` on, the background.
    """
    values = column.values
    missing = np.isnan(values)
    if missing[at]:
        return missing
    if not column.ordered:
        return np.asarray(values == values[at])
    edges = quantile_edges(values[first:], bins)
    place = np.searchsorted(edges, values)
    return np.asarray((place == place[at]) & ~missing)
