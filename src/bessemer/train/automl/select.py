"""Greedy ensemble selection on out-of-fold predictions."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

#: The most additions, and after how many that brought nothing the selection ends.
STEPS, _PATIENCE = 30, 6


def select(
    margins: Mapping[str, np.ndarray],
    judge: Callable[[np.ndarray], float],
    better: Callable[[float, float], bool],
    most: int,
) -> dict[str, float]:
    """Weights of the members, adding up to 1, the first added first (Caruana et al. 2004).

    Members are added one at a time, with replacement, each time the one whose addition judges best; the best
    ensemble on the way is kept. Once `most` different members are in, only those are added again.

    Args:
        margins: (J, K') of each candidate.
        judge: margins -> the metric. better: whether the first value is better than the second.

    >>> y = np.array([0.0, 1.0, 2.0])
    >>> candidates = {"high": (y + 1)[:, None], "low": (y - 1)[:, None], "bad": np.full((3, 1), 9.0)}
    >>> select(candidates, lambda m: float(np.abs(m[:, 0] - y).mean()), lambda a, b: a < b, 3)
    {'high': 0.5, 'low': 0.5}
    """
    counts: dict[str, int] = {}
    total = np.zeros_like(next(iter(margins.values())))
    best, best_value, best_step = dict(counts), float("nan"), 0
    for step in range(1, STEPS + 1):
        allowed = margins if len(counts) < most else counts
        values = {name: judge((total + margins[name]) / step) for name in allowed}
        chosen = next(iter(values))
        for name, value in values.items():
            if better(value, values[chosen]):
                chosen = name
        total = total + margins[chosen]
        counts[chosen] = counts.get(chosen, 0) + 1
        if step == 1 or better(values[chosen], best_value):
            best, best_value, best_step = dict(counts), values[chosen], step
        if step - best_step >= _PATIENCE:
            break
    whole = sum(best.values())
    return {name: n / whole for name, n in best.items()}
