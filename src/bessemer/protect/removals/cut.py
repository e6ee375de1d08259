"""Cutting trees off: the last ones, which is where a mark that was only appended would be."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import ClassVar

import numpy as np

from bessemer.package.trees.model import Trees
from bessemer.protect.removals.removal import Margin, Stolen


class Cut:
    """The first trees alone; of means over trees (forests) what is left is scaled up."""

    LEVELS: ClassVar[tuple[float, ...]] = (0.5, 0.8)

    def name(self, level: float) -> str:
        return f"{level:.0%} of the trees cut"

    def refuses(self, stolen: Stolen) -> str:
        return "" if "trees" in stolen.kinds else "it has no trees"

    def remove(self, stolen: Stolen, level: float) -> Margin:
        """Of both ways to put the rest together, the one that is better on the thief's rows."""
        ways = [
            stolen.edited(trees=partial(_first, share=1 - level, scale=scale))
            for scale in (1.0, 1 / (1 - level))
        ]
        return min(ways, key=lambda margin: stolen.loss(margin(stolen.X)))


def _first(trees: Trees, share: float, scale: float) -> Trees:
    kept: list[int] = []
    for target in range(trees.outputs):  # those of each output, as they were added
        own = [i for i, tree in enumerate(trees.trees) if tree.target == target]
        kept += own[: int(np.ceil(share * len(own)))]
    scaled = tuple(replace(trees.trees[i], value=trees.trees[i].value * scale) for i in sorted(kept))
    return replace(trees, trees=scaled)
