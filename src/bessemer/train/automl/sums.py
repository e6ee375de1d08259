"""Pairs of numbers: two columns whose values together say much that neither says alone, as sums at many slopes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.package.pair_sums import SumPairs
from bessemer.train.automl.pairs import shrunk_means, targets

if TYPE_CHECKING:
    from bessemer.train.learner import Part, Problem

#: How much of each column a sum takes: slopes that are about evenly far apart, all powers of two.
SLOPES = ((1, 1), (1, -1), (2, 1), (2, -1), (1, 2), (1, -2), (4, 1), (4, -1), (1, 4), (1, -4))
#: Columns of sums that a member is told of, at most.
MOST_SUMS = 2 * len(SLOPES)
#: Columns that are paired, at most; values that one must have to be more of a number than of a category.
_COLUMNS, _VALUES = 30, 9
#: Parts that a column is cut into to be judged, and rows that are judged.
_BINS, _ROWS = 16, 20_000
#: Pairs that are told at most; a further one says at least this share of what the first one does.
_MOST, _SHARE = 2, 0.5
#: Of many classes the most frequent ones tell.
_CLASSES = 5
#: Turns of fitting what the columns say alone.
_TURNS = 3


def numbers(
    features: Sequence[Mapping[str, Any]], X: np.ndarray, monotone: Sequence[int] | None
) -> tuple[int, ...]:
    """The features that are numbers, each all there is of its column, and held by no constraint.

    Args:
        features: features.json of the preprocessor: name, group and kind of each.
        X: (N, F) the rows to learn from.
    """
    own: dict[str, list[int]] = {}
    for place, feature in enumerate(features):
        own.setdefault(feature["group"], []).append(place)
    found = []
    for places in own.values():
        place = places[0]
        free = monotone is None or monotone[place] == 0
        if len(places) == 1 and features[place]["kind"] == "number" and free and _varied(X[:, place]):
            found.append(place)
    return tuple(found[:_COLUMNS])


def _varied(x: np.ndarray) -> bool:
    some = x[:: max(1, len(x) // _ROWS)]  # all over a table that may be sorted
    return len(np.unique(some[~np.isnan(some)])) >= _VALUES


def fit_sums(
    problem: Problem, part: Part, columns: Sequence[int], rng: np.random.Generator
) -> SumPairs | None:
    """The pairs that say most beyond their columns. None where no two columns are there."""
    if len(columns) < 2:
        return None
    rows = np.arange(len(part))
    if len(rows) > _ROWS:
        rows = np.sort(rng.choice(rows, _ROWS, replace=False))
    X, target = part.X[rows][:, list(columns)], targets(problem, part.y[rows])
    target = target[:, np.argsort(-target.mean(axis=0), kind="stable")[:_CLASSES]]
    weight = problem.row_weights(part)
    weight = np.ones(len(rows)) if weight is None else weight[rows] / weight[rows].mean()
    places = _best(X, target, weight)
    scales = [_scale(X[:, at]) for at in range(len(columns))]
    weights = np.array(
        [[[slope[0] * scales[a], slope[1] * scales[b]] for slope in SLOPES] for a, b in places],
        dtype=np.float32,
    )
    owners = np.array([[columns[a], columns[b]] for a, b in places], dtype=np.int64)
    return SumPairs(owners, weights)


def _scale(x: np.ndarray) -> float:
    """The power of two that brings a column nearest to a spread of 1."""
    spread = float(np.std(x[~np.isnan(x)].astype(np.float64))) if not np.isnan(x).all() else 0.0
    return float(2.0 ** np.clip(-np.round(np.log2(spread)), -60, 60)) if spread > 0 else 1.0


def _best(X: np.ndarray, target: np.ndarray, weight: np.ndarray) -> list[tuple[int, int]]:
    """Pairs by the variance of their shrunk means that what the columns say alone does not explain."""
    left = target - np.average(target, axis=0, weights=weight)
    left = left / np.sqrt(np.maximum(np.average(left**2, axis=0, weights=weight), 1e-300))
    size = _BINS + 1
    codes = [_codes(x) for x in X.T]
    alone = [np.zeros((size, left.shape[1])) for _ in codes]
    for _ in range(_TURNS):
        for at, code in enumerate(codes):
            left += alone[at][code]
            alone[at] = shrunk_means(code, left, weight, size)
            left -= alone[at][code]
    worth = {}
    for a, b in combinations(range(len(codes)), 2):
        place = codes[a] * size + codes[b]
        told = shrunk_means(place, left, weight, size * size)[place]
        worth[a, b] = float(np.average((told**2).sum(axis=1), weights=weight))
    ranked = sorted(worth, key=lambda pair: (-worth[pair], pair))
    return [pair for pair in ranked[:_MOST] if worth[pair] >= _SHARE * worth[ranked[0]]]


def _codes(x: np.ndarray) -> np.ndarray:
    """(N,) -> (N,) int64: 0 where it is missing, else which part of the column's values it lies in, from 1."""
    missing = np.isnan(x)
    if missing.all():
        return np.zeros(len(x), dtype=np.int64)
    edges = np.unique(np.quantile(x[~missing], np.linspace(0, 1, _BINS + 1)[1:-1]))
    found: np.ndarray = np.where(missing, 0, np.searchsorted(edges, x) + 1)
    return found
