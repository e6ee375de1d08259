"""Quantising: weights and leaf values are rounded to few levels."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import ClassVar

import numpy as np

from bessemer.package.trees.model import Trees
from bessemer.protect.removals.removal import Margin, Stolen
from bessemer.protect.removals.weights import with_weights


class Quantise:
    """Symmetric, a scale a tensor: of each network weight, and of all leaf values together."""

    LEVELS: ClassVar[tuple[float, ...]] = (8, 4)

    def name(self, level: float) -> str:
        return f"quantised to {level:.0f} bits"

    def refuses(self, stolen: Stolen) -> str:
        return "" if stolen.kinds & {"trees", "head"} else "it has neither trees nor a network"

    def remove(self, stolen: Stolen, level: float) -> Margin:
        rounded = partial(_rounded, bits=int(level))
        return stolen.edited(
            trees=partial(_leaves, bits=int(level)), head=partial(with_weights, change=rounded)
        )


def _rounded(values: np.ndarray, bits: int) -> np.ndarray:
    largest = float(np.abs(values).max(initial=0.0))
    if largest == 0:
        return values
    step = largest / (2 ** (bits - 1) - 1)
    found: np.ndarray = np.rint(values / step) * step
    return found


def _leaves(trees: Trees, bits: int) -> Trees:
    if not trees.trees:
        return trees
    rounded = _rounded(np.concatenate([tree.value for tree in trees.trees]), bits)
    ends = np.cumsum([len(tree.value) for tree in trees.trees])[:-1]
    values = np.split(rounded, ends)
    made = tuple(replace(tree, value=value) for tree, value in zip(trees.trees, values, strict=True))
    return replace(trees, trees=made)
