"""Shapley values of any model against one baseline row, estimated from random orders of the features.

The game of Lundberg and Lee (2017, "A unified approach to interpreting model predictions") with a single
background row, as in Sundararajan and Najmi (2020, "The many Shapley values for model explanation"): a feature that
is not known has the baseline's value. A feature's part is what the margin changes by when its value arrives,
averaged over orders of arrival (Castro, Gomez and Tejada 2009). Each order is used forwards and backwards,
which cancels the error of every pairwise interaction (Mitchell et al. 2022, "Sampling permutations for Shapley
value estimation").
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import permutations as all_orders

import numpy as np

#: Orders of the features, backward ones included. With eight pairs the standard error of a network's parts on real
#: tables was a few percent of a row's largest part.
PERMUTATIONS = 16
#: Float32 numbers in one block of rows that the model is asked about: 16 MB.
_BLOCK = 1 << 22

Margin = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Estimate:
    """Estimated Shapley values.

    base: (K',) float64, the margin of the baseline. each: (N, F, K') float64. Base and parts sum to the margin
    whatever the orders were. error: (N, F, K') float64, the standard error of `each`; 0 where nothing was left to
    chance, NaN where it is not known.
    """

    base: np.ndarray
    each: np.ndarray
    error: np.ndarray

    @classmethod
    def exact(cls, base: np.ndarray, each: np.ndarray) -> Estimate:
        """Values without an error."""
        return cls(base, each, np.broadcast_to(0.0, each.shape))


def sampled_shapley(
    margin: Margin, X: np.ndarray, baseline: np.ndarray, permutations: int = PERMUTATIONS, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Base (K',) and each feature's part (N, F, K'), float64; they sum to the margin.

    Args: as `estimated_shapley` takes them.

    >>> base, each = sampled_shapley(lambda x: x @ [[2.0], [1.0]] + 1, np.array([[1.0, 5.0]]), np.zeros(2))
    >>> base.tolist(), each.tolist()
    ([1.0], [[[2.0], [5.0]]])
    """
    found = estimated_shapley(margin, X, baseline, permutations, seed)
    return found.base, found.each


def estimated_shapley(
    margin: Margin,
    X: np.ndarray,
    baseline: np.ndarray,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
    player: np.ndarray | None = None,
) -> Estimate:
    """Shapley values with their standard errors, over the pairs of orders: NaN where there was only one pair.

    Args:
        margin: (M, F) -> (M, K'); each row of the answer depends on its own row only.
        X: (N, F). NaN is a value like any other: a missing value.
        baseline: (F,), NaN allowed. A feature that has the baseline's value gets exactly 0.
        permutations: orders to use, even and at least 2. All there are, where that is no more: then it is exact.
        seed: of the orders. They are the same for every row, so a row's values do not depend on its neighbours.
        player: (F,) int64 from 0 on, for features that arrive together, such as the pixels of an image: which feature
            is of which player. A player's part stands at its first feature, and 0 at its others.

    >>> product = lambda x: x[:, :1] * x[:, 1:]
    >>> estimated_shapley(product, np.array([[2.0, 3.0]]), np.ones(2)).each.tolist()
    [[[2.0], [3.0]]]
    """
    X = np.asarray(X)
    n, features = X.shape
    baseline = np.asarray(baseline, dtype=X.dtype)
    base = np.asarray(margin(baseline[None, :]), dtype=np.float64)[0]
    each = np.zeros((n, features, len(base)))
    error = np.zeros_like(each)
    of = np.arange(features) if player is None else player
    players, first = np.unique(of, return_index=True)
    exact = _all_orders(len(players), permutations) <= permutations
    pairs = _all_pairs(len(players)) if exact else _random_pairs(len(players), permutations, seed)
    rows = max(1, _BLOCK // (len(players) * features))
    for start in range(0, n, rows):
        block = slice(start, start + rows)
        walk = _Walks(margin, X[block], baseline, base, of)
        each[block, first], error[block, first] = _moments(walk, pairs)
    return Estimate(base, each, np.zeros_like(error) if exact else error)


def evaluations(features: int, permutations: int = PERMUTATIONS) -> int:
    """How often the model is asked to explain a row that differs from the baseline everywhere."""
    return 2 + _orders(features, permutations) * (features - 1)


def _orders(features: int, permutations: int) -> int:
    """How many orders are used."""
    return min(permutations, _all_orders(features, permutations))


def _all_orders(features: int, permutations: int) -> int:
    """How many orders there are, or some number above `permutations`: the whole factorial need not be known."""
    return math.factorial(min(features, permutations + 1))


def _all_pairs(features: int) -> list[tuple[np.ndarray, ...]]:
    """Every order with its reverse; a single feature has but one order."""
    if features == 1:
        return [(np.zeros(1, dtype=np.int64),)]
    forwards = [np.array(order) for order in all_orders(range(features)) if order[0] < order[-1]]
    return [(order, order[::-1]) for order in forwards]


def _random_pairs(features: int, permutations: int, seed: int) -> list[tuple[np.ndarray, ...]]:
    rng = np.random.default_rng(seed)
    forwards = [rng.permutation(features) for _ in range(permutations // 2)]
    return [(order, order[::-1]) for order in forwards]


def _moments(walks: _Walks, pairs: list[tuple[np.ndarray, ...]]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard error over the pairs (Welford 1962)."""
    mean, squares = walks.nothing(), walks.nothing()
    for count, orders in enumerate(pairs, start=1):
        found = sum((walks.along(order) for order in orders), walks.nothing()) / len(orders)
        distance = found - mean
        mean = mean + distance / count
        squares += distance * (found - mean)
    count = len(pairs)
    error = np.sqrt(squares / (count - 1) / count) if count > 1 else np.full_like(squares, np.nan)
    return mean, error


class _Walks:
    """Rows on their way from the baseline: player after player takes the row's own values."""

    def __init__(
        self, margin: Margin, X: np.ndarray, baseline: np.ndarray, base: np.ndarray, of: np.ndarray
    ) -> None:
        self._margin, self._X, self._baseline, self._base, self._of = margin, X, baseline, base, of
        self._end = np.asarray(margin(X), dtype=np.float64)
        differs = ~((baseline == X) | (np.isnan(X) & np.isnan(baseline)))
        self._moves = np.zeros((len(X), int(of.max(initial=-1)) + 1), dtype=bool)
        row, feature = np.nonzero(differs)
        self._moves[row, of[feature]] = True

    def nothing(self) -> np.ndarray:
        """(rows, P, K') zeros."""
        return np.zeros((*self._moves.shape, len(self._base)))

    def along(self, order: np.ndarray) -> np.ndarray:
        """(rows, P, K'): what each player changes when the players arrive in this order."""
        row, step = np.nonzero(self._moves[:, order])  # by row, then by step
        last = np.append(row[1:] != row[:-1], True)[: len(row)]
        value = np.empty((len(row), len(self._base)))
        value[last] = self._end[row[last]]
        inner = np.flatnonzero(~last)
        for part in self._parts(inner):
            value[part] = self._margin(self._states(order, row[part], step[part]))
        before = np.roll(value, 1, axis=0)
        first = np.roll(last, 1)
        before[first] = self._base
        found = self.nothing()
        found[row, order[step]] = value - before
        return found

    def _parts(self, wanted: np.ndarray) -> Iterator[np.ndarray]:
        size = max(1, _BLOCK // self._X.shape[1])
        for start in range(0, len(wanted), size):
            yield wanted[start : start + size]

    def _states(self, order: np.ndarray, row: np.ndarray, step: np.ndarray) -> np.ndarray:
        """Rows whose players up to a step of the order have arrived."""
        rank = np.argsort(order)[self._of]
        states: np.ndarray = np.where(rank[None, :] <= step[:, None], self._X[row], self._baseline)
        return states
