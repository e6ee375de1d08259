"""Pruning: the smallest weights of a network become zero (Han et al. 2015)."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

import numpy as np

from bessemer.protect.removals.removal import Margin, Stolen
from bessemer.protect.removals.weights import with_weights


class Prune:
    """In each tensor by itself, without learning anything again."""

    LEVELS: ClassVar[tuple[float, ...]] = (0.5, 0.8)

    def name(self, level: float) -> str:
        return f"{level:.0%} of the weights pruned"

    def refuses(self, stolen: Stolen) -> str:
        return "" if "head" in stolen.kinds else "it has no network"

    def remove(self, stolen: Stolen, level: float) -> Margin:
        return stolen.edited(head=partial(with_weights, change=partial(_pruned, share=level)))


def _pruned(weight: np.ndarray, share: float) -> np.ndarray:
    size = np.abs(weight)
    found: np.ndarray = np.where(size >= np.quantile(size, share), weight, 0)
    return found
