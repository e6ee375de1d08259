"""A learning rate from the data: the rate grows with every step of a short trial, and the loss says where to stop."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from bessemer.train.networks.batch import Loss
from bessemer.train.networks.feed import Feed
from bessemer.train.networks.net import Net
from bessemer.train.networks.objective import Objective
from bessemer.train.networks.step import Stepper

#: Rates that are tried, the first and the last.
_STEPS, _RANGE = 80, (1e-6, 1.0)
#: The share of the earlier losses in a smoothed one, and how many times the best of them ends the trial.
_SMOOTHING, _ENOUGH = 0.9, 4.0
#: Within one rise the best rate is so much below the one whose loss was least.
_BELOW = 10.0


def found_rate(
    net: Net,
    feed: Feed,
    objective: Objective,
    loss: Loss,
    params: Mapping[str, Any],
    time_left: Callable[[], float],
) -> float | None:
    """The rate, or None where the loss never fell. The network stays as it is; a fifth of the time at most is used.

    Smith (2017), "Cyclical learning rates for training neural networks".
    """
    stepper = Stepper(copy.deepcopy(net), objective, loss, params)
    rates = np.geomspace(*_RANGE, _STEPS)
    enough, losses = 0.8 * time_left(), []
    for step, rate in enumerate(rates):
        losses.append(stepper.take(feed.parts(step), step, float(rate)))
        if time_left() < enough or not losses[-1] <= _ENOUGH * max(losses[0], min(losses)):
            break
    return chosen_rate(rates, losses)


def chosen_rate(rates: Sequence[float] | np.ndarray, losses: Sequence[float]) -> float | None:
    """A tenth of the rate at which the smoothed loss is least; None where it is never clearly below the first.

    >>> chosen_rate([0.001, 0.01, 0.1, 1.0], [1.0, 0.5, 0.1, 90.0])
    0.01
    >>> chosen_rate([0.001, 0.01, 0.1, 1.0], [1.0, 1.0, 1.0, 9.0]) is None
    True
    """
    smooth, mean, weight = [], 0.0, 0.0
    for value in losses:
        if not np.isfinite(value):
            break
        mean, weight = _SMOOTHING * mean + value, _SMOOTHING * weight + 1
        smooth.append(mean / weight)
    if not smooth or min(smooth) > 0.98 * smooth[0]:
        return None
    return float(f"{rates[int(np.argmin(smooth))] / _BELOW:.2g}")
