"""A control chart of errors: the Bernoulli CUSUM (Page 1954; Reynolds and Stoumbos 1999).

Each error adds, each right answer takes away; below zero it does not go. What it adds up to is the logarithm of how
much more likely the last rows are at the worse error rate than at the old one, since the moment that suits it best. No
chart that alarms as rarely finds that rate sooner (Moustakides 1986). Levels are whole numbers, so that a stream cut
into pieces ends exactly where the whole does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike

from bessemer.stats.arrays import Ints

#: Steps are whole multiples of a small unit: fewer units, a smaller chain to find probabilities by.
_UNITS = 24
#: How far a step may be from what was asked for, as a share of its distance to the rate.
_SLACK = 0.1


@dataclass(frozen=True)
class Chart:
    """rate: of errors, in (0, 1), before a change. worse: the rate that it finds soonest.

    up: what an error adds; down: what a right answer takes away; whole, > 0. At a rate of down / (up + down) they
    balance.
    """

    rate: float
    worse: float
    up: int
    down: int

    @property
    def balance(self) -> float:
        return self.down / (self.up + self.down)

    def evidence(self, level: float) -> float:
        """A level as the logarithm of a likelihood ratio."""
        return level * math.log(_odds(self.worse) / _odds(self.rate)) / (self.up + self.down)


def chart(rate: float, odds: float, least: float = 0.0) -> Chart:
    """The chart that finds a change of a rate by a ratio of odds soonest, its steps as whole numbers.

    Args:
        rate: in (0, 1). odds: of the worse rate to those of the rate, > 1.
        least: the rate at which steps balance is at least this: where it is above what odds ask for, they are raised.

    Raises:
        ValueError: rate or odds are out of range.

    >>> found = chart(0.1, 1.5)
    >>> found.up, found.down, round(found.worse, 3)
    (29, 4, 0.145)
    """
    if not 0 < rate < 1 or not odds > 1:
        raise ValueError(f"no chart for a rate of {rate} and odds of {odds}")
    worse = odds * rate / (1 - rate + odds * rate)
    wanted = max(_balance(rate, worse), min(least, (1 + rate) / 2))
    step = _fraction(wanted, rate)
    up, down = step.denominator - step.numerator, step.numerator
    return Chart(rate, _worse(rate, float(step)), up, down)


def levels(asked: Chart, errors: ArrayLike, start: int = 0) -> Ints:
    """The chart's level after each of errors (n,), 0 or 1: int64 (n,), each >= 0. start: the level before the first.

    >>> levels(Chart(0.1, 0.4, 3, 1), [0, 1, 0, 1, 0, 0, 0, 0, 0, 0]).tolist()
    [0, 3, 2, 5, 4, 3, 2, 1, 0, 0]
    """
    wrong = np.asarray(errors, dtype=np.int64)
    free = start + np.cumsum(wrong * (asked.up + asked.down) - asked.down)
    return np.asarray(free - np.minimum(np.minimum.accumulate(free), 0)) if len(free) else free


def _odds(rate: float) -> float:
    return rate / (1 - rate)


def _balance(rate: float, worse: float) -> float:
    """The rate at which both rates explain a stream as well."""
    lost = math.log((1 - rate) / (1 - worse))
    return lost / (lost + math.log(worse / rate))


def _fraction(wanted: float, rate: float) -> Fraction:
    """A fraction at a rate or little above it, of as few units as it takes."""
    if wanted < 1 / _UNITS:
        # 1 / (units * rows): so that the chain can go `rows` labels at a step
        rows = max(1, math.floor(1 / (wanted * _UNITS)))
        return Fraction(1, rows * math.floor(1 / (wanted * rows)))
    most = min(wanted + _SLACK * (wanted - rate), (1 + wanted) / 2)
    units = 2
    while math.ceil(wanted * units) > most * units:
        units += 1
    return Fraction(math.ceil(wanted * units), units)


def _worse(rate: float, balance: float) -> float:
    """The rate that a chart which balances there finds soonest, by bisection: it balances between both."""
    low, high = balance, 1 - 1e-12
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if _balance(rate, middle) < balance else (low, middle)
    return low
