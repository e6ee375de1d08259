"""The first trees alone: half the trees, half the time."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from bessemer.core.spec import Spec
from bessemer.optimize.variant import Native, Parent, UnsuitedError, Variant, with_head
from bessemer.package.trees.codec import decode, encode
from bessemer.package.trees.model import Trees
from bessemer.package.trees.onnx import to_onnx


class TreesSettings(Spec):
    keep: list[Annotated[float, Field(gt=0, lt=1)]] = Field(
        [0.75, 0.5, 0.25], description="the shares of the trees that are kept, a variant each"
    )


class FewerTrees:
    """What is left is put together as a sum (boosting) or scaled up (forests), as comes nearer to the whole."""

    needs_rows: ClassVar[bool] = False
    Settings: ClassVar[type[TreesSettings]] = TreesSettings

    def __init__(self, settings: TreesSettings) -> None:
        self.settings = settings

    def variants(self, parent: Parent) -> list[Variant]:
        native = parent.native
        if native.kind != "trees":
            raise UnsuitedError("it is no single sum of trees")
        trees = decode(native.content)
        found = []
        for share in self.settings.keep:
            best = min(
                (_first(trees, share, scale) for scale in (1.0, 1 / share)),
                key=lambda kept: _away(kept, parent),
            )
            if 0 < len(best.trees) < len(trees.trees):
                content = encode(best)
                graph = with_head(parent.graph, to_onnx(best))
                found.append(Variant(f"{share:.0%} of the trees", graph, Native("trees", content)))
        if not found:
            raise UnsuitedError("it has too few trees")
        return found


def _away(trees: Trees, parent: Parent) -> float:
    return float(np.mean((trees.margin(parent.X) - parent.margin) ** 2))


def _first(trees: Trees, share: float, scale: float) -> Trees:
    """The first of each output, as they were added; scaled about the base."""
    kept: list[int] = []
    for target in range(trees.outputs):
        own = [i for i, tree in enumerate(trees.trees) if tree.target == target]
        kept += own[: int(np.ceil(share * len(own)))]
    return replace(
        trees, trees=tuple(replace(trees.trees[i], value=trees.trees[i].value * scale) for i in sorted(kept))
    )
