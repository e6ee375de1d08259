"""LightGBM's model text: read, cut, joined, with thresholds a float32 can be compared with exactly.

The format is a header, one block a tree (`name=values`), and a footer. Bessemer trains on float32, so a
threshold t can be replaced by the greatest float32 <= t: `x <= t` decides the same for every float32 x, and
the ONNX graph, which knows only float32, decides the same too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_END = "end of trees"

#: LightGBM's kZeroThreshold: what is not above it in size is read as 0.
ZERO_RANGE = np.float32(1e-35)


@dataclass(frozen=True)
class TextTree:
    """One tree: its fields as text, in order, without the number.

    Nodes are numbered from 0, leaves are written as -1 - leaf in `left_child` and `right_child`.
    """

    fields: dict[str, str]

    def numbers(self, name: str, dtype: type) -> np.ndarray:
        return np.array(self.fields.get(name, "").split(), dtype=dtype)

    @property
    def leaves(self) -> np.ndarray:
        return self.numbers("leaf_value", np.float64)

    def text(self, number: int) -> str:
        return "\n".join([f"Tree={number}", *(f"{k}={v}" for k, v in self.fields.items())]) + "\n\n\n"


@dataclass(frozen=True)
class ModelText:
    """header: the lines before the trees, without `tree_sizes`; per_iteration: trees of one round."""

    header: tuple[str, ...]
    trees: tuple[TextTree, ...]
    per_iteration: int

    def head(self, iterations: int) -> ModelText:
        """The first so many rounds."""
        return ModelText(self.header, self.trees[: iterations * self.per_iteration], self.per_iteration)

    def followed_by(self, trees: Sequence[TextTree]) -> ModelText:
        return ModelText(self.header, (*self.trees, *trees), self.per_iteration)

    def text(self) -> str:
        """The whole text, without LightGBM's list of settings: the number of threads is not part of a model."""
        blocks = [tree.text(number) for number, tree in enumerate(self.trees)]
        sizes = " ".join(str(len(block.encode())) for block in blocks)
        return "\n".join([*self.header, f"tree_sizes={sizes}", "", "".join(blocks) + _END, "", ""])


def parse(text: str, *, categories: bool = False) -> ModelText:
    """The model that `Booster.model_to_string` wrote.

    Args:
        categories: whether trees may split by sets of categories, which the neutral form has no word for.

    Raises:
        ValueError: a tree with linear leaves, or with categories where they are not allowed.
    """
    top, *rest = text.partition(_END)[0].split("\nTree=")
    header = tuple(line for line in top.splitlines() if line and not line.startswith("tree_sizes="))
    per_iteration = next(int(h.split("=")[1]) for h in header if h.startswith("num_tree_per_iteration="))
    trees = tuple(_tree(block, categories) for block in rest)
    return ModelText(header, trees, per_iteration)


def _tree(block: str, categories: bool) -> TextTree:
    lines = [line.partition("=") for line in block.splitlines()[1:] if line]
    fields = {name: value for name, _, value in lines}
    sets = int(fields.get("num_cat", "0")) and not categories
    if sets or int(fields.get("is_linear", "0")):
        raise ValueError("categorical splits and linear leaves have no neutral form")
    return TextTree(fields)


def exact_threshold(thresholds: np.ndarray) -> np.ndarray:
    """The float32 t such that `x <= t` is LightGBM's decision for every float32 x that is a number.

    LightGBM reads everything within 1e-35 of 0 as 0, so a threshold there moves to the end of that range.

    >>> exact_threshold(np.array([-1e-40, 1e-40])) == [np.nextafter(-ZERO_RANGE, np.float32(-1)), ZERO_RANGE]
    array([ True,  True])
    """
    floored = floor_float32(thresholds)
    outside = np.where(floored < 0, np.nextafter(-ZERO_RANGE, np.float32(-np.inf)), ZERO_RANGE)
    result: np.ndarray = np.where((floored >= -ZERO_RANGE) & (floored <= ZERO_RANGE), outside, floored)
    return result


def floor_float32(values: np.ndarray) -> np.ndarray:
    """The greatest float32 <= each float64.

    >>> float(floor_float32(np.array([0.1]))[0]), np.isinf(floor_float32(np.array([1e300]))[0]).item()
    (0.09999999403953552, False)
    """
    with np.errstate(over="ignore"):
        near = values.astype(np.float32)
        below = np.nextafter(near, np.float32(-np.inf))
    result: np.ndarray = np.where(near.astype(np.float64) > values, below, near)
    return result
