"""Whether means have moved between two samples that are known by their counts, sums and sums of squares."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from bessemer.stats.arrays import Floats

#: A mean of fewer values is not compared: Student's t needs something near a normal mean.
FEWEST = 30


@dataclass(frozen=True)
class Sums:
    """Of values in groups: how many, their sum and the sum of their squares, float64 (groups,) each."""

    rows: Floats
    total: Floats
    squares: Floats

    @classmethod
    def of(cls, values: ArrayLike, codes: ArrayLike, groups: int) -> Sums:
        """Of values (n,) whose group is `codes` (n,), in [0, groups).

        >>> Sums.of([1.0, 2.0, 5.0], [0, 0, 1], 2).mean.tolist()
        [1.5, 5.0]
        """
        x, k = np.asarray(values, dtype=np.float64), np.asarray(codes, dtype=np.int64)
        return cls(
            *(
                np.bincount(k, part, minlength=groups).astype(np.float64)
                for part in (np.ones(len(x)), x, x**2)
            )
        )

    @property
    def mean(self) -> Floats:
        """NaN where there are no values."""
        return _divided(self.total, self.rows)

    @property
    def variance(self) -> Floats:
        """NaN of fewer than two values."""
        spread = self.squares - self.rows * np.nan_to_num(self.mean) ** 2
        return _divided(np.maximum(spread, 0.0), self.rows - 1)

    def rest(self) -> Sums:
        """Of all other groups together, for each group."""
        return Sums(*(part.sum() - part for part in (self.rows, self.total, self.squares)))


def shrunk(sums: Sums) -> Floats:
    """The means of groups, float64 (groups,), towards nought as far as chance alone may have made them (the positive
    part of James and Stein 1961); 0 of a group with fewer than two values.

    >>> rng = np.random.default_rng(0)
    >>> groups = np.repeat(np.arange(8), 100)
    >>> far = np.arange(8.0)[groups]
    >>> [round(float(shrunk(Sums.of(rng.normal(size=800) + k * far, groups, 8)).max()), 1) for k in (0, 1)]
    [0.0, 7.1]
    """
    means = np.nan_to_num(sums.mean)
    error = np.nan_to_num(_divided(sums.variance, sums.rows))
    known = error > 0
    chi_square = float((means[known] ** 2 / error[known]).sum())
    factor = max(0.0, 1.0 - max(0, int(known.sum()) - 2) / chi_square) if chi_square > 0 else 0.0
    # a group whose values are all the same leaves nothing to chance
    found: Floats = np.where(known, factor * means, np.where(sums.rows > 1, means, 0.0)) + 0.0
    return found


def _divided(top: Floats, bottom: Floats) -> Floats:
    found: Floats = np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom > 0)
    return found


def risen(before: Sums, now: Sums) -> Floats:
    """Whether means are greater than before, a one-sided p-value a group, float64 (groups,).

    Welch's t-test (1947), in which both sides vary as the one that varies more: losses lean to one side, so that of few
    values those whose mean is low by chance also vary less, or those whose mean is high. NaN where either side has
    fewer than `FEWEST` values or nothing varies.

    >>> rng = np.random.default_rng(0)
    >>> a, b = (Sums.of(rng.normal(m, 1, 400), np.zeros(400, int), 1) for m in (0.0, 0.5))
    >>> bool(risen(a, b)[0] < 1e-6), bool(risen(b, a)[0] > 0.99)
    (True, True)
    """
    from scipy.special import stdtr

    larger = np.maximum(before.variance, now.variance)
    one = _divided(larger, before.rows)
    two = _divided(larger, now.rows)
    usable = (before.rows >= FEWEST) & (now.rows >= FEWEST) & (one + two > 0)
    found = np.full(len(before.rows), np.nan)
    one, two, b, w = one[usable], two[usable], before.rows[usable], now.rows[usable]
    freedom = (one + two) ** 2 / (one**2 / (b - 1) + two**2 / (w - 1))
    found[usable] = stdtr(freedom, -(now.mean - before.mean)[usable] / np.sqrt(one + two))
    return found


def moved(before: Sums, now: Sums, reach: float | None = None) -> tuple[float, float, int]:
    """Whether any of the groups' means has moved: the statistic, its p-value and its degrees of freedom.

    The sum over the groups of (mean now - mean before)^2 / (variance * (1 / n + 1 / m)), which is chi-square where no
    mean has moved: the statistic of Hosmer and Lemeshow (1980) with earlier rows in the place of the model's own word,
    so that a model that was never right is not found again. The variance is that of both samples about their means, and
    more where the mean has moved far: few rare events are no normal sum, and Bernstein's inequality (1924) says how far
    values of at most `reach` may add up by chance: where it is not known, one standard deviation, as of exponentials.

    Groups of fewer than `FEWEST` rows, on either side, stand with a neighbour. (0, NaN, 0) where nothing can be
    compared.

    >>> rng = np.random.default_rng(1)
    >>> a = Sums.of(rng.normal(0, 1, 900), np.arange(900) % 3, 3)
    >>> b = Sums.of(rng.normal(0, 1, 300) + (np.arange(300) % 3 == 2), np.arange(300) % 3, 3)
    >>> bool(moved(a, b)[1] < 1e-6), moved(a, b)[2]
    (True, 3)
    """
    from scipy.special import chdtrc

    a, b = _large_enough(before, now)
    inner = sum(np.nan_to_num(s.variance) * np.maximum(s.rows - 1, 0) for s in (a, b))
    variance = _divided(np.asarray(inner), a.rows + b.rows - 2)
    usable = (a.rows >= FEWEST) & (b.rows >= FEWEST) & (variance > 0)
    if not usable.any():
        return 0.0, math.nan, 0
    away = np.abs(b.mean - a.mean)[usable]
    most = np.sqrt(variance[usable]) if reach is None else reach
    each = away**2 / ((variance[usable] + away * most / 3) * (1 / a.rows + 1 / b.rows)[usable])
    statistic, freedom = float(each.sum()), int(usable.sum())
    return statistic, float(chdtrc(freedom, statistic)), freedom


def _large_enough(before: Sums, now: Sums) -> tuple[Sums, Sums]:
    """Neighbouring groups put together until each has enough rows on both sides; the last join the group before."""
    starts, held = [0], np.zeros(2)
    for k in range(len(before.rows)):
        if held.min() >= FEWEST:
            starts.append(k)
            held = np.zeros(2)
        held += before.rows[k], now.rows[k]
    if held.min() < FEWEST and len(starts) > 1:
        starts.pop()

    def joined(sums: Sums) -> Sums:
        return Sums(*(np.add.reduceat(part, starts) for part in (sums.rows, sums.total, sums.squares)))

    return joined(before), joined(now)


def gap_moved(before: Sums, now: Sums, reach: float | None = None) -> Floats:
    """Whether a group's distance to all others has changed: a two-sided p-value a group, float64 (groups,).

    The gap is the group's mean less that of all other rows; a change that all groups share is none. A normal test whose
    variance is, for shares (values 0 and 1) and means alike, that of both samples put together, and more where the gap
    has moved far: few rare events are no normal sum, and Bernstein's inequality says how far values of at most `reach`
    may add up by chance; where it is not known, one standard deviation. NaN where the group or the others have fewer
    than `FEWEST` rows on either side.

    >>> b = Sums(np.array([100.0, 100.0]), np.array([50.0, 50.0]), np.array([50.0, 50.0]))
    >>> n = Sums(np.array([200.0, 200.0]), np.array([140.0, 60.0]), np.array([140.0, 60.0]))
    >>> bool(gap_moved(b, n, 1.0).max() < 1e-3)
    True
    """
    from scipy.special import erfc

    sides = [(before, now), (before.rest(), now.rest())]
    both = [Sums(a.rows + b.rows, a.total + b.total, a.squares + b.squares).variance for a, b in sides]
    variance = sum(
        v * (_divided(np.ones_like(a.rows), a.rows) + _divided(np.ones_like(b.rows), b.rows))
        for v, (a, b) in zip(both, sides, strict=True)
    )
    fewest = np.min([part.rows for pair in sides for part in pair], axis=0)
    enough = (fewest >= FEWEST) & (variance > 0)
    away = np.abs(gaps(now) - gaps(before))[enough]
    most = np.sqrt(np.max(both, axis=0)[enough]) if reach is None else reach
    found = np.full(len(before.rows), np.nan)
    spread = np.asarray(variance)[enough] + away * most / (3 * fewest[enough])
    found[enough] = erfc(away / np.sqrt(2 * spread))
    return found


def gaps(sums: Sums) -> Floats:
    """Each group's mean less that of all other rows, float64 (groups,)."""
    found: Floats = sums.mean - sums.rest().mean
    return found


def exceeds(events: float, rows: float, allowed: float) -> float:
    """How likely so many events of `rows` are, or more, if their share is `allowed`: the binomial test's p-value.

    >>> exceeds(0, 100, 0.0), exceeds(1, 100, 0.0), round(exceeds(5, 100, 0.01), 5)
    (1.0, 0.0, 0.00343)
    """
    from scipy.special import bdtrc

    return 1.0 if events <= 0 else float(bdtrc(events - 1, rows, allowed))


def exceeds_critical(rows: float, allowed: float, probability: float) -> float:
    """The fewest events of `rows` whose `exceeds` is at most a probability; more than `rows` where none is.

    >>> exceeds_critical(100, 0.01, 0.01), exceeds(5, 100, 0.01) <= 0.01 < exceeds(4, 100, 0.01)
    (5.0, True)
    """
    low, high = 0.0, rows + 1.0
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if exceeds(middle, rows, allowed) <= probability else (middle, high)
    return high
