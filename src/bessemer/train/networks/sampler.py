"""Which rows a step learns from: a function of the seed and the step alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

import numpy as np

from bessemer.train.networks.private_noise import step_key, uniforms


class Shuffled:
    """Every row once an epoch, in another order each time; those that do not fill a step are left out of it.

    >>> sampler = Shuffled(np.zeros(5), step_rows=2, seed=7)
    >>> sampler.per_epoch, [sampler.rows(step).tolist() for step in range(3)]
    (2, [[2, 0], [4, 1], [3, 0]])
    """

    def __init__(self, y: np.ndarray, step_rows: int, seed: int) -> None:
        self._count, self._step_rows, self._seed = len(y), min(step_rows, len(y)), seed
        self.per_epoch = self._count // self._step_rows
        self._order = lru_cache(maxsize=1)(self._ordered)

    def rows(self, step: int) -> np.ndarray:
        """(M,) int64."""
        epoch, at = divmod(step, self.per_epoch)
        return self._order(epoch)[at * self._step_rows : (at + 1) * self._step_rows]

    def _ordered(self, epoch: int) -> np.ndarray:
        return np.random.default_rng([self._seed, epoch]).permutation(self._count)


class Balanced:
    """Each class as often as the others: a class is drawn evenly, then one of its rows, with replacement.

    Rows of rare classes come several times an epoch. Class weights beside it would count twice.

    >>> y = np.array([0.0] * 98 + [1.0, 1.0])
    >>> drawn = y[np.concatenate([Balanced(y, step_rows=10, seed=7).rows(step) for step in range(50)])]
    >>> float(drawn.mean())
    0.5
    """

    def __init__(self, y: np.ndarray, step_rows: int, seed: int) -> None:
        self._step_rows, self._seed = min(step_rows, len(y)), seed
        self.per_epoch = len(y) // self._step_rows
        self._classes = [np.flatnonzero(y == value) for value in np.unique(y)]

    def rows(self, step: int) -> np.ndarray:
        """(M,) int64; classes take turns, so that a step has as many of each as divide it evenly."""
        rng = np.random.default_rng([self._seed, step])
        first = step * self._step_rows
        turns = rng.permutation(np.arange(first, first + self._step_rows) % len(self._classes))
        at = rng.random(self._step_rows)
        return np.array([own[int(u * len(own))] for own, u in self._drawn(turns, at)], dtype=np.int64)

    def _drawn(self, turns: np.ndarray, at: np.ndarray) -> list[tuple[np.ndarray, float]]:
        return [(self._classes[turn], u) for turn, u in zip(turns.tolist(), at.tolist(), strict=True)]


class Poisson:
    """Each row by itself with the same chance, so steps differ in size: what the accounting of private training asks.

    seed: up to 256 bits, which private training keeps secret.

    >>> sampler = Poisson(np.zeros(1000), step_rows=100, seed=7)
    >>> [len(sampler.rows(step)) for step in range(4)]
    [98, 104, 96, 86]
    """

    def __init__(self, y: np.ndarray, step_rows: int, seed: int) -> None:
        self._count, self._seed = len(y), seed
        self._chance = min(1.0, step_rows / len(y))
        self.per_epoch = max(1, round(1 / self._chance))

    def rows(self, step: int) -> np.ndarray:
        """(M,) int64, in the order of the rows; M may be 0."""
        return np.flatnonzero(uniforms(step_key(self._seed, "rows", step), self._count) < self._chance)


Sampler = Shuffled | Balanced | Poisson

SAMPLERS: Mapping[str, Callable[[np.ndarray, int, int], Sampler]] = {
    "shuffled": Shuffled,
    "balanced": Balanced,
    "poisson": Poisson,
}
