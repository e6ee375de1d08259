"""The learning rate over the training, as a factor of its highest value."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping


def cosine(at: float) -> float:
    """Half a wave down (Loshchilov and Hutter 2017).

    >>> [round(cosine(at), 3) for at in (0, 0.25, 0.5, 1)]
    [1.0, 0.854, 0.5, 0.0]
    """
    return 0.5 * (1 + math.cos(math.pi * at))


def linear(at: float) -> float:
    """Straight down.

    >>> linear(0.25)
    0.75
    """
    return 1 - at


def constant(at: float) -> float:
    """As it is."""
    return 1.0


def one_cycle(at: float) -> float:
    """From 1/25 up over the first 30 %, then down to almost nothing (Smith and Topin 2018, torch's defaults).

    >>> [round(one_cycle(at), 4) for at in (0, 0.15, 0.3, 0.65, 1)]
    [0.04, 0.52, 1.0, 0.5, 0.0]
    """
    if at < 0.3:
        return _between(0.04, 1.0, at / 0.3)
    return _between(1.0, 4e-6, (at - 0.3) / 0.7)


def _between(first: float, last: float, at: float) -> float:
    return last + (first - last) * cosine(at)


SCHEDULES: Mapping[str, Callable[[float], float]] = {
    "cosine": cosine,
    "linear": linear,
    "one_cycle": one_cycle,
    "constant": constant,
}


def rate(schedule: str, warmup: float, at: float) -> float:
    """The factor at `at` of the way, 0 to 1: linear over the first `warmup`, then the schedule over what is left.

    >>> [round(rate("linear", 0.1, at), 3) for at in (0, 0.05, 0.1, 0.55, 1)]
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    at = min(1.0, at)
    if at < warmup:
        return SCHEDULES[schedule](0.0) * at / warmup
    return SCHEDULES[schedule]((at - warmup) / (1 - warmup) if warmup < 1 else 0.0)
