"""Figures that are remembered, and how surprising the next one is: means and variances that forget slowly."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bessemer.stats.arrays import Floats

#: What an older value counts for when a newer one comes: about so many are remembered as 1 / (1 - KEPT).
KEPT = 0.99
#: A value further from the mean than so many standard deviations is remembered as one that is so far from it, so that
#: one outage does not hide the next.
_FURTHEST = 4.0
#: Until so many are known, nothing is cut off.
_ENOUGH = 10


@dataclass(frozen=True)
class Level:
    """Values that were seen: their weight (how many, less what was forgotten), mean and sum of squared deviations.

    >>> level = Level.of([1.0, 2.0, 3.0], kept=1.0)
    >>> level.weight, level.mean, level.squares
    (3.0, 2.0, 2.0)
    """

    weight: float = 0.0
    mean: float = 0.0
    squares: float = 0.0

    @classmethod
    def of(cls, values: Sequence[float], kept: float = KEPT) -> Level:
        level = cls()
        for value in values:
            level = level.add(value, kept)
        return level

    @property
    def variance(self) -> float:
        """NaN of fewer than two values."""
        return self.squares / (self.weight - 1) if self.weight > 1 else math.nan

    def add(self, value: float, kept: float = KEPT) -> Level:
        """With one more value; the earlier ones count `kept` times as much (West 1979)."""
        if self.weight >= _ENOUGH:
            reach = _FURTHEST * math.sqrt(self.variance)
            value = min(max(value, self.mean - reach), self.mean + reach) if reach > 0 else value
        weight = self.weight * kept + 1
        step = (value - self.mean) / weight
        squares = self.squares * kept + (value - self.mean) * (value - self.mean - step)
        return Level(weight, self.mean + step, squares)

    def to_json(self) -> list[float]:
        return [self.weight, self.mean, self.squares]


def surprise(
    value: float,
    mean: float,
    variance: float,
    known: float,
    freedom: float,
    *,
    least: float = 0.0,
    one_sided: bool = False,
) -> float:
    """How likely a value this far from a mean is, or further: a p-value, by Student's t.

    The mean is of `known` earlier values, so that the next one varies by variance * (1 + 1 / known) about it (the
    prediction interval of Hahn and Meeker 1991).

    Args:
        variance: of the values, > 0. freedom: its degrees of freedom. least: a difference up to this is none.
        one_sided: only greater values are surprising.

    NaN where the variance is not positive or has no degrees of freedom.

    >>> round(surprise(3.0, 0.0, 1.0, 1e9, 1e9), 4)
    0.0027
    """
    from scipy.special import stdtr

    if not variance > 0 or not freedom > 0:
        return math.nan
    spread = math.sqrt(variance * (1 + 1 / known))
    if one_sided:
        return float(stdtr(freedom, -(value - mean - least) / spread))
    away = abs(value - mean) - least
    return 1.0 if away <= 0 else min(1.0, float(2 * stdtr(freedom, -away / spread)))


def expected_within(
    variance: float, known: float, freedom: float, probability: float, least: float = 0.0
) -> float:
    """How far from the mean a value may be before its two-sided `surprise` is below a probability."""
    from scipy.special import stdtrit

    spread = math.sqrt(variance * (1 + 1 / known))
    return least + spread * float(stdtrit(freedom, 1 - probability / 2))


DAYS, HOURS = 7, 24
_CELLS = DAYS * HOURS
#: What a week counts for when the next one comes: about ten weeks are remembered.
_WEEK_KEPT = 0.9
#: So many weeks make an hour of the week known; so many days an hour of the day, where a whole week was seen.
_WEEKS_KNOWN, _DAYS_KNOWN = 2.5, 5
#: In so many hours two thirds of a new level are taken for the normal one.
_DRIFT_HOURS = 48.0
#: How long a level is taken to go on unseen.
_STALE_HOURS = 24.0


@dataclass(frozen=True)
class Expected:
    """What the next value should be. by: 'hour of the week', 'hour of the day' or 'all hours'."""

    mean: float
    variance: float
    known: float
    freedom: float
    by: str


class Seasonal:
    """Values by the hour of the week; of bounded size, however many come.

    Until an hour of the week is known, the hour of the day serves, and before that all hours together: their variance
    holds the ups and downs of the day, so that a morning is no surprise on the first day.

    An hour of the week that is known by its own values remembers one that is far from them as one that is only so far.
    Before that nothing is cut off: a job that runs once a week, or each night, is far from all other hours every time.

    Args:
        state: what `to_json` gave.

    weight, days, mean, squares: float64 (168,): of the values in each hour, less what was forgotten; days counts those
    of one day once. drift: how far the last values were from what their hours say.
    """

    def __init__(self, state: dict[str, list[float]] | None = None) -> None:
        empty = [0.0] * _CELLS
        told = state or {}
        self._weight, self._days, self._mean, self._squares, self._last = (
            np.array(told.get(name, empty), dtype=np.float64)
            for name in ("weight", "days", "mean", "squares", "last")
        )
        self._drift, self._first, self._newest = told.get("rest", [0.0, math.nan, math.nan])

    def to_json(self) -> dict[str, list[float]]:
        named = {
            "weight": self._weight,
            "days": self._days,
            "mean": self._mean,
            "squares": self._squares,
            "last": self._last,
        }
        state = {name: [float(f"{x:.8g}") for x in values] for name, values in named.items()}
        return {**state, "rest": [self._drift, self._first, self._newest]}

    def expected(self, hour: float) -> Expected | None:
        """What is expected in an hour, counted from a Monday, 00:00; None while too little is known."""
        place = int(hour) % _CELLS
        span = (hour - self._first) / HOURS if self._first == self._first else 0.0
        if self._days[place] >= _WEEKS_KNOWN:
            own = (self._days[place], self._mean[place])
            return self._pooled(own, self._weight, self._squares, self._days, hour, "hour of the week")
        weight, days, mean, squares = self._merged(axis=0)
        if span >= DAYS and days[place % HOURS] >= _DAYS_KNOWN:
            own = (days[place % HOURS], mean[place % HOURS])
            return self._pooled(own, weight, squares, days, hour, "hour of the day")
        weight, days, mean, squares = self._merged(axis=None)
        if span >= 1 and weight[0] >= _ENOUGH:
            return self._pooled((days[0], mean[0]), weight, squares, days, hour, "all hours")
        return None

    def _pooled(
        self, own: tuple[float, float], weight: Floats, squares: Floats, days: Floats, hour: float, by: str
    ) -> Expected:
        """The variance about the cells' means, over all cells that have more than one value."""
        several = days > 1
        free = float(np.sum(weight[several] - 1))
        freedom = float(np.sum(days[several] - 1))
        stale = hour - self._newest > _STALE_HOURS
        drift = 0.0 if by == "all hours" or stale else self._drift
        return Expected(
            own[1] + drift, float(squares[several].sum()) / free if free > 0 else 0.0, own[0], freedom, by
        )

    def _merged(self, axis: int | None) -> tuple[Floats, Floats, Floats, Floats]:
        """Weight, days, mean and squares of the hours of the day, (24,), or of all hours, (1,)."""

        def shaped(values: Floats) -> Floats:
            return values.reshape((DAYS, HOURS) if axis == 0 else (_CELLS, 1))

        weight, mean = shaped(self._weight), shaped(self._mean)
        whole = weight.sum(axis=0)
        middle = np.divide((weight * mean).sum(axis=0), whole, out=np.zeros_like(whole), where=whole > 0)
        between = (weight * (mean - middle) ** 2).sum(axis=0)
        return whole, shaped(self._days).sum(axis=0), middle, shaped(self._squares).sum(axis=0) + between

    def add(self, hour: float, value: float, hours: float) -> None:
        """Remember a value of a time that was so many hours long."""
        place, now = int(hour) % _CELLS, self.expected(hour)
        if now is not None and now.variance > 0:
            if now.by != "all hours":
                share = 1 - math.exp(-hours / _DRIFT_HOURS)
                known = now.mean - (0.0 if hour - self._newest > _STALE_HOURS else self._drift)
                self._drift += share * (_within(value, now.mean, now.variance) - known - self._drift)
            # before it is known by its own values, what is far from other hours may be usual in this one
            if now.by == "hour of the week":
                own = self._squares[place] / max(1.0, self._weight[place] - 1)
                value = _within(value, now.mean, max(now.variance, own))
        if hour - self._last[place] >= HOURS or not self._days[place]:
            for sums in (self._weight, self._days, self._squares):
                sums[place] *= _WEEK_KEPT
            self._days[place] += 1
            self._last[place] = hour
        self._weight[place] += 1
        step = (value - self._mean[place]) / self._weight[place]
        self._squares[place] += (value - self._mean[place]) * (value - self._mean[place] - step)
        self._mean[place] += step
        self._first = hour if self._first != self._first else self._first
        self._newest = hour


def _within(value: float, mean: float, variance: float) -> float:
    """The value, no further from the mean than `_FURTHEST` standard deviations."""
    reach = _FURTHEST * math.sqrt(variance)
    return min(max(value, mean - reach), mean + reach)
