"""Making probabilities mean what they say: Platt and temperature scaling.

Margins are log-odds (binary) or unnormalised log-probabilities (multiclass). Both methods keep the order of
the margins, and both are the affine map `a * margin + b`. How far off probabilities are: `stats.reliability`.
"""

from __future__ import annotations

import math

import numpy as np

_STEPS = 100
_TOLERANCE = 1e-12


def sigmoid(margin: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-margin)), without overflow.

    >>> sigmoid(np.array([-1000.0, 0.0, 1000.0])).tolist()
    [0.0, 0.5, 1.0]
    """
    small = np.exp(-np.abs(margin))
    result: np.ndarray = np.where(margin >= 0, 1 / (1 + small), small / (1 + small))
    return result


def softmax(margin: np.ndarray) -> np.ndarray:
    """exp(margin) of (N, K), each row scaled to sum to 1, without overflow."""
    shifted = np.exp(margin - margin.max(axis=1, keepdims=True))
    result: np.ndarray = shifted / shifted.sum(axis=1, keepdims=True)
    return result


def binary_log_loss(margin: np.ndarray, y: np.ndarray) -> float:
    """Mean negative log-likelihood (nats) of y (N,), a share in [0, 1], under log-odds (N,)."""
    return float(np.mean(np.logaddexp(0.0, margin) - y * margin))


def multiclass_log_loss(margin: np.ndarray, y: np.ndarray) -> float:
    """Mean negative log-likelihood (nats) of class indices y (N,) under margins (N, K)."""
    top = margin.max(axis=1)
    total = top + np.log(np.exp(margin - top[:, None]).sum(axis=1))
    return float(np.mean(total - margin[np.arange(len(y)), y.astype(np.int64)]))


def fit_sigmoid(margin: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Platt scaling: (a, b) such that sigmoid(a * margin + b) is calibrated.

    Platt (1999), with his smoothed targets (N+ + 1) / (N+ + 2) and 1 / (N- + 2), by the damped Newton method
    of Lin, Lin and Weng (2007). The margins are standardised first, so their unit does not matter.

    Args:
        margin: (N,) finite.
        y: (N,) 0 or 1. With one class only, the smoothing keeps the result finite.

    >>> margin, y = np.repeat([-1.0, 1.0], 400), np.tile([0.0, 0, 0, 1], 200)
    >>> y[400:] = 1 - y[400:]
    >>> a, b = fit_sigmoid(margin, y)  # three to one on either side: log-odds of 1.0986
    >>> round(a, 1), abs(round(b, 1))
    (1.1, 0.0)
    """
    positive = float(np.sum(y > 0))
    negative = len(y) - positive
    target = np.where(y > 0, (positive + 1) / (positive + 2), 1 / (negative + 2))
    centre, spread = float(np.mean(margin)), float(np.std(margin))
    if not spread > 0:
        share = float(np.mean(target))
        return 1.0, float(np.log(share / (1 - share))) - centre
    z = (margin - centre) / spread
    a, b = _newton(z, target)
    return a / spread, b - a * centre / spread


def _newton(z: np.ndarray, target: np.ndarray) -> tuple[float, float]:
    a, b = 0.0, float(np.log(np.mean(target) / (1 - np.mean(target))))
    loss = binary_log_loss(a * z + b, target)
    for _ in range(_STEPS):
        p = sigmoid(a * z + b)
        w = p * (1 - p)
        g = np.array([np.mean((p - target) * z), np.mean(p - target)])
        H = np.array([[np.mean(w * z * z), np.mean(w * z)], [np.mean(w * z), np.mean(w)]])
        step = np.linalg.solve(H + 1e-12 * np.eye(2), g)
        if float(g @ step) < _TOLERANCE:  # the loss can fall by half of this and no more
            break
        size = 1.0
        while size > 1e-10:  # halve the step until the loss falls enough (Armijo)
            tried = binary_log_loss((a - size * step[0]) * z + b - size * step[1], target)
            if tried <= loss - 1e-4 * size * float(g @ step):
                break
            size /= 2
        else:
            break
        a, b, loss = a - size * float(step[0]), b - size * float(step[1]), tried
    return a, b


def fit_temperature(margin: np.ndarray, y: np.ndarray) -> float:
    """Temperature scaling: the T in [0.01, 100] such that softmax(margin / T) is calibrated.

    Guo, Pleiss, Sun and Weinberger (2017). The log loss is convex in 1 / T, so bisection on its derivative
    finds the minimum.

    Args:
        margin: (N, K) finite.
        y: (N,) class indices.

    >>> m = np.array([[2.0, 0.0], [2.0, 0.0], [2.0, 0.0], [2.0, 0.0]])
    >>> round(2 / fit_temperature(m, np.array([0, 0, 0, 1])), 3)  # the log-odds of three to one
    1.099
    """
    own = margin[np.arange(len(y)), y.astype(np.int64)]

    def slope(beta: float) -> float:
        return float(np.mean((softmax(beta * margin) * margin).sum(axis=1) - own))

    low, high = 0.01, 100.0
    if slope(low) >= 0:
        return 1 / low
    if slope(high) <= 0:
        return 1 / high
    for _ in range(60):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return 1 / math.sqrt(low * high)
