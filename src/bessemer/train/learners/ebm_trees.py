"""Curves and surfaces over bins, and the same as trees: a balanced search over the bins of each feature.

A curve's tree has one feature, so its Shapley values are the curve itself minus its mean over the training rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bessemer.package.trees.model import Tree, Trees
from bessemer.train.learners.lightgbm_text import floor_float32

#: Nothing lies below it, so a branch with this threshold only tells missing values apart.
LOWEST = float(np.finfo(np.float32).min)


@dataclass(frozen=True)
class Term:
    """What one feature, or two together, add to the margin.

    features: of each side.
    cuts: of each side, (B - 2,) float64, rising: a value lies in the bin above every cut that it reaches.
    scores: (B, K') or (B, B', K') float64; row 0 is for a missing value, then the bins in order.
    weights: (B,) or (B, B') float64, the weight of the training rows.
    """

    features: tuple[int, ...]
    cuts: tuple[np.ndarray, ...]
    scores: np.ndarray
    weights: np.ndarray


@dataclass(frozen=True)
class Terms:
    """An additive model.

    intercept: (K',) float64.
    features: how many features a row has.
    """

    terms: tuple[Term, ...]
    intercept: np.ndarray
    features: int

    def margin(self, X: np.ndarray) -> np.ndarray:
        """(N, F) float32 -> (N, K') float64, by looking up the bins.

        >>> curve = Term((0,), (np.array([1.5]),), np.array([[9.0], [1.0], [2.0]]), np.ones(3))
        >>> Terms((curve,), np.zeros(1), 1).margin(np.array([[1.0], [1.5], [np.nan]], dtype=np.float32)).tolist()
        [[1.0], [2.0], [9.0]]
        """
        total = np.tile(self.intercept.astype(np.float64), (len(X), 1))
        for term in self.terms:
            at = [bins_of(X[:, f], cuts) for f, cuts in zip(term.features, term.cuts, strict=True)]
            total += term.scores[tuple(at)]
        return total

    def trees(self) -> Trees:
        """The same model in the neutral form; a term that is the same everywhere goes into the base."""
        grown = [tree_of(term) for term in self.terms]
        level = [tree.value[0] for tree in grown if not tree.branches]
        base = np.sum([self.intercept, *level], axis=0)
        return Trees(tuple(tree for tree in grown if tree.branches), base, self.features)


def bins_of(x: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """(N,) int64: 0 for a missing value, else 1 + the number of cuts that are reached."""
    found: np.ndarray = np.where(np.isnan(x), 0, 1 + np.searchsorted(cuts, x, side="right"))
    return found


def finite(X: np.ndarray) -> np.ndarray:
    """Infinity as the trees take it: the smallest float32 and what is below count as missing."""
    with np.errstate(invalid="ignore"):
        kept: np.ndarray = np.where(LOWEST >= X, np.float32(np.nan), np.minimum(X, np.finfo(np.float32).max))
    return kept


def tree_of(term: Term) -> Tree:
    """The term as one tree; equal neighbours become one leaf."""
    grower = _Grower(term)
    grower.place(0, term.scores, term.weights)
    columns = list(zip(*grower.branches, strict=True)) or [()] * 5
    feature, threshold, missing_left, left, right = columns
    return Tree(
        np.array(feature, dtype=np.int32),
        np.array(threshold, dtype=np.float32),
        np.array(missing_left, dtype=bool),
        np.array(left, dtype=np.int32),
        np.array(right, dtype=np.int32),
        np.array(grower.values),
        np.array(grower.covers),
    )


class _Grower:
    """A tree under construction: [feature, threshold, missing_left, left, right] of each branch, and the leaves."""

    def __init__(self, term: Term) -> None:
        self._term = term
        # a value below a cut goes left: the greatest float32 below the cut is the greatest that does
        self._thresholds = [floor_float32(np.nextafter(cuts, -np.inf)) for cuts in term.cuts]
        self.branches: list[list[float]] = []
        self.values: list[np.ndarray] = []
        self.covers: list[float] = []

    def place(self, side: int, scores: np.ndarray, weights: np.ndarray) -> int:
        """Grow what tells the bins of this side and of those after it apart; gives the branch, or -1 - leaf."""
        if side == len(self._term.features):
            self.values.append(scores)
            self.covers.append(float(weights))
            return -len(self.values)
        starts = _starts(scores)
        if len(starts) == 1 and np.array_equal(scores[0], scores[1]):
            return self.place(side + 1, scores[0], weights.sum(axis=0))
        at = self._branch(side, LOWEST, missing_left=True)
        self.branches[at][3] = self.place(side + 1, scores[0], weights[0])
        sums = np.add.reduceat(weights[1:], starts, axis=0)
        thresholds = self._thresholds[side][starts[1:] - 1]
        self.branches[at][4] = self._search(side, scores[1:][starts], sums, thresholds)
        return at

    def _search(self, side: int, scores: np.ndarray, weights: np.ndarray, thresholds: np.ndarray) -> int:
        """A balanced search among bins that differ from their neighbours."""
        if not len(thresholds):
            return self.place(side + 1, scores[0], weights[0])
        middle = len(scores) // 2
        at = self._branch(side, thresholds[middle - 1], missing_left=False)
        low, high = slice(0, middle), slice(middle, None)
        self.branches[at][3] = self._search(side, scores[low], weights[low], thresholds[: middle - 1])
        self.branches[at][4] = self._search(side, scores[high], weights[high], thresholds[middle:])
        return at

    def _branch(self, side: int, threshold: float, missing_left: bool) -> int:
        self.branches.append([self._term.features[side], threshold, missing_left, 0, 0])
        return len(self.branches) - 1


def _starts(scores: np.ndarray) -> np.ndarray:
    """Where a run of equal bins begins, counted from the first bin that is not for missing values."""
    known = scores[1:].reshape(len(scores) - 1, -1)
    changes = np.any(known[1:] != known[:-1], axis=1)
    return np.concatenate([[0], np.flatnonzero(changes) + 1])
