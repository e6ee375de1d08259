"""How likely it is that a Bernoulli CUSUM reaches a level by chance: a Markov chain, exact up to its limit.

Levels are whole, so the chart is a chain on 0, 1, ..., level - 1 that is left when the level is reached (Brook and
Evans 1972). After a while without reaching it, the chance to reach it at the next label is the same at every label.
"""

from __future__ import annotations

import math

import numpy as np

from bessemer.stats.arrays import Floats
from bessemer.stats.bernoulli_cusum import Chart

#: Rates at which the chance is found; between them it is added up by the trapezoid rule.
_NODES = 25
_MOST_STEPS, _BETWEEN = 20_000, 64
_MOST_ERRORS = 7
_MOST_EVIDENCE = 100.0
#: The chance to leave the chain is the same from step to step when it changes by no more than this between looks.
_SETTLED = 3e-4
#: A critical level is near enough where the chance of it is at least this share of what was asked for.
_NEAR = 0.98


def reached_p(asked: Chart, level: int, rows: int, errors: float, known: float) -> float:
    """The probability that a chart which goes on and on is at a level or above it within so many labels.

    The error rate is as the reference has it and does not change; as that is known from some rows only, the
    probability is averaged over what they leave open (Jeffreys' prior).

    Args:
        level: > 0, in the chart's units. rows: labels, > 0.
        errors, known: of so many rows of the reference, so many were wrong.

    >>> from bessemer.stats.bernoulli_cusum import chart
    >>> asked = chart(0.1, 1.5)
    >>> [round(reached_p(asked, level * 33, 1000, 10_000, 100_000), 4) for level in (10, 20)]
    [0.1444, 0.0023]
    """
    if level <= 0:
        return 1.0
    rates, weights, beyond = _left_open(errors, known)
    chance = _reached(asked, level, rows, rates)
    return min(1.0, float(weights @ chance) + beyond)


def critical_level(asked: Chart, probability: float, rows: int, errors: float, known: float) -> int | None:
    """About the lowest level that is reached with at most a probability, never one that is too low.

    None where the reference is of too few rows to be so sure.
    """
    low, high, above = 0, 2 * (asked.up + asked.down), 1.0
    while (below := reached_p(asked, high, rows, errors, known)) > probability:
        low, high, above = high, 2 * high, below
        if asked.evidence(high) > _MOST_EVIDENCE:
            return None
    while high - low > 1 and below < _NEAR * probability:
        # the logarithm of the chance is nearly a line; where the line is too bold, the middle is not
        share = math.log(above / probability) / math.log(above / max(below, 1e-300))
        middle = min(high - 1, max(low + 1, round(low + (high - low) * min(0.9, max(0.1, share)))))
        chance = reached_p(asked, middle, rows, errors, known)
        if chance > probability:
            low, above = middle, chance
        else:
            high, below = middle, chance
    return high


def _left_open(errors: float, known: float) -> tuple[Floats, Floats, float]:
    """Rates (nodes,), their weights, and the probability of a greater rate: Jeffreys' posterior."""
    from scipy.special import betainc, betaincinv

    a, b = errors + 0.5, known - errors + 0.5
    low, high = betaincinv(a, b, 1e-6), betaincinv(b, a, 1e-12)
    rates = np.linspace(low, 1 - high, _NODES)
    # the chance grows faster and faster with the rate: trapezoids are never too sure
    half = np.diff(betainc(a, b, rates)) / 2
    weights = np.append(half, 0.0) + np.append(0.0, half)
    weights[0] += betainc(a, b, rates[0])
    return rates, weights, float(betainc(b, a, 1 - rates[-1]))


def _reached(asked: Chart, level: int, rows: int, rates: Floats) -> Floats:
    """The probability at each rate (nodes,)."""
    drops = np.array([_drop(asked, float(rate)) for rate in rates])
    already = np.exp(-drops * level)  # bound of Lundberg and Kingman on where it is when the labels begin
    at_once = already >= 1
    found = np.ones(len(rates))
    if not at_once.all():
        calm = ~at_once
        fresh = -np.expm1(_stays(asked, level, rows, rates[calm], drops[calm]))
        found[calm] = np.minimum(1.0, already[calm] + fresh)
    return found


def _drop(asked: Chart, rate: float) -> float:
    """By how much the logarithm of the chance to be at a level drops a unit; 0 where the chart climbs on average."""
    if rate * asked.up >= (1 - rate) * asked.down:
        return 0.0
    low, high = 0.0, 1.0

    def grown(x: float) -> float:
        return rate * math.exp(x * asked.up) + (1 - rate) * math.exp(-x * asked.down) - 1

    while asked.up * high < 500 and grown(high) < 0:
        high *= 2
    high = min(high, 500 / asked.up)
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if grown(middle) < 0 else (low, middle)
    return low


def _stays(asked: Chart, level: int, rows: int, rates: Floats, drops: Floats) -> Floats:
    """The logarithm of the chance to stay below the level for so many labels, (nodes,), of a chart that goes on."""
    size, labels = asked.up + asked.down, _labels_a_step(asked)
    if labels > 1:
        # a step of several labels: within it the level may be one unit above where it ends
        width, up, down = max(1, math.ceil(level / labels) - 1), size // labels, 1
    else:
        width, up, down = level, size, asked.down
    chances = _errors_a_step(rates, labels)
    state = np.exp(-drops[:, None] * (labels * np.arange(width))[None, :])
    state /= state.sum(axis=1, keepdims=True)
    stays, before = np.zeros(len(rates)), np.zeros(len(rates))
    running, steps = np.arange(len(rates)), math.ceil(rows / labels)
    for step in range(steps):
        state, lost = _stepped(state, chances, up, down)
        state /= 1 - lost[:, None]
        stays[running] += np.log1p(-lost)
        if step % _BETWEEN == 0:
            settled = (np.abs(lost - before) <= _SETTLED * lost) | (step > _MOST_STEPS)
            often = np.maximum(lost, before)[settled]
            stays[running[settled]] += (steps - step - 1) * np.log1p(-often)
            state, chances, before = state[~settled], chances[~settled], lost[~settled]
            running = running[~settled]
            if not len(running):
                break
    return stays


def _labels_a_step(asked: Chart) -> int:
    """How many labels go by while the level sinks by one unit of a coarser chain; 1 where it need not be coarser."""
    size = asked.up + asked.down
    if asked.down != 1 or size <= 96:
        return 1
    return next(rows for rows in range(size // 24, 0, -1) if size % rows == 0)


def _errors_a_step(rates: Floats, labels: int) -> Floats:
    """The probability of 0, 1, ... errors among so many labels, (nodes, few); what is more counts as reached."""
    few = min(labels, _MOST_ERRORS)
    k = np.arange(few + 1)
    choose = np.array([math.comb(labels, int(i)) for i in k], dtype=np.float64)
    return np.asarray(choose * rates[:, None] ** k * (1 - rates[:, None]) ** (labels - k))


def _stepped(state: Floats, chances: Floats, up: int, down: int) -> tuple[Floats, Floats]:
    """One step of the chain: where it is, not normed, and the probability that it was left."""
    width = state.shape[1]
    sunk = np.zeros_like(state)
    sunk[:, : max(0, width - down)] = state[:, down:]
    sunk[:, 0] += state[:, :down].sum(axis=1)
    moved = sunk * chances[:, :1]
    lost = np.maximum(0.0, 1 - chances.sum(axis=1))
    for errors in range(1, chances.shape[1]):
        # one label: an error adds `up` in all, which its own step down is part of only above zero
        if errors == 1 and chances.shape[1] == 2:
            rise, source = up - down, state
        else:
            rise, source = errors * up, sunk
        if rise < width:
            moved[:, rise:] += source[:, : width - rise] * chances[:, errors : errors + 1]
        lost = lost + source[:, max(0, width - rise) :].sum(axis=1) * chances[:, errors]
    return moved, lost
