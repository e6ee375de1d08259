"""What one training row did to the leaves of trees: the trees keep their shape, and every leaf is filled without it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bessemer.explain.losses import Loss, one_hot
from bessemer.package.trees.model import Tree, Trees, leaves_of

if TYPE_CHECKING:
    import numpy.typing as npt

    from bessemer.explain.influence_models import Fitted
    from bessemer.explain.sample import Floats


@dataclass(frozen=True)
class Leaf:
    """One tree and one of its outputs. leaf: (N,) of the training rows; value: (L,); k: the output."""

    leaf: npt.NDArray[np.int64]
    value: Floats
    k: int

    def sums(self, weight: Floats) -> Floats:
        """(N,) -> (L,)."""
        found: Floats = np.bincount(self.leaf, weight, minlength=len(self.value)).astype(np.float64)
        return found


@dataclass
class Fit:
    """How well the leaves' values follow from the training rows that are in them, as `value ~ factor * expected`."""

    cross: float = 0.0
    expected: float = 0.0
    actual: float = 0.0

    def add(self, value: Floats, expected: Floats, weight: Floats) -> None:
        self.cross += float(weight @ (value * expected))
        self.expected += float(weight @ expected**2)
        self.actual += float(weight @ value**2)

    @property
    def factor(self) -> float:
        return self.cross / self.expected if self.expected > 0 else 0.0

    @property
    def r2(self) -> float:
        both = self.expected * self.actual
        return self.cross**2 / both if both > 0 else 0.0


def boosted(trees: Trees, loss: Loss, fitted: Fitted, pull: Floats, l2: float) -> tuple[Floats, float]:
    """Removal from gradient-boosted trees, each tree with the slopes of its own round.

    A leaf holds -rate * G / (H + l2), sums of slope and curvature over its rows; without a row it holds
    about rate * g / (H + l2) + value * h / (H + l2) more. The rate is read off the leaves. What the row would do to
    later trees is left out, as in BoostIn (Brophy, Hammoudeh and Lowd, "Adapting and evaluating influence-estimation
    methods for gradient-boosted decision trees", JMLR 24, 2023).

    Returns:
        (R, N): pull times the change of the sum of the trees; and R² of the leaves' values by the formula.
    """
    by_slope, by_curve = (np.zeros((len(pull), len(fitted.train))) for _ in range(2))
    fit, n = Fit(), len(fitted.train)
    total = np.tile(trees.base, (n, 1))
    slope, curve = loss.slopes(total)
    grown: set[int] = set()
    pending = np.zeros_like(total)
    for tree in trees.trees:
        outputs = [tree.target] if tree.value.shape[1] == 1 else list(range(trees.outputs))
        if grown & set(outputs):
            total, pending, grown = total + pending, np.zeros_like(total), set()
            slope, curve = loss.slopes(total)
        grown.update(outputs)
        for one, together in _leaves(tree, outputs, fitted):
            g, h = slope[:, one.k], curve[:, one.k]
            whole = one.sums(h) + l2 * n / fitted.total
            expected = -one.sums(g) / np.maximum(whole, 1e-12)
            fit.add(one.value, expected, one.sums(np.ones(n)))
            weight = pull[:, one.k, None] * together / np.maximum(whole[one.leaf], 1e-12)
            by_slope += weight * g
            by_curve += weight * (h * one.value[one.leaf])
            pending[:, one.k] += one.value[one.leaf]
    return (fit.factor * by_slope + by_curve) * n / fitted.total, fit.r2


def averaged(trees: Trees, loss: Loss, fitted: Fitted, pull: Floats) -> tuple[Floats, float]:
    """Removal from a forest: a leaf is the mean of its rows, so without row i it is (value - y_i) / n more.

    Returns:
        (R, N): pull times the change of the mean of the trees; and R² of the leaves' values by those means.
    """
    found, fit = np.zeros((len(pull), len(fitted.train))), Fit()
    count, n = len(trees.trees), len(fitted.train)
    y = one_hot(loss.actual, trees.outputs)
    for tree in trees.trees:
        outputs = [tree.target] if tree.value.shape[1] == 1 else list(range(trees.outputs))
        for one, together in _leaves(tree, outputs, fitted):
            rows = one.sums(np.ones(n))
            mean = one.value * count + trees.base[one.k]
            overall = float(y[:, one.k].mean())
            expected = one.sums(y[:, one.k]) / np.maximum(rows, 1)
            fit.add(mean - overall, expected - overall, rows)
            change = (mean[one.leaf] - y[:, one.k]) / rows[one.leaf] / count
            found += pull[:, one.k, None] * together * change
    return found * n / fitted.total, fit.r2


def alike(trees: Trees, slope: Floats, fitted: Fitted, pull: Floats) -> Floats:
    """Removal by how often rows share a leaf: one step against the row's slope (N, K), in the mean over the trees.

    For sums of trees that were not grown one after the other: bagged, weighted, cyclic. Its scale is that of a forest;
    its order is what counts.
    """
    found = np.zeros((len(pull), len(fitted.train)))
    count, n = max(1, len(trees.trees)), len(fitted.train)
    for tree in trees.trees:
        outputs = [tree.target] if tree.value.shape[1] == 1 else list(range(trees.outputs))
        for one, together in _leaves(tree, outputs, fitted):
            rows = one.sums(np.ones(n))[one.leaf]
            found += pull[:, one.k, None] * together * (slope[:, one.k] / rows / count)
    return found * n / fitted.total


def summed(trees: Trees) -> Trees:
    """The same without its link: the sum that leaves add to."""
    return replace(trees, link="identity")


def _leaves(tree: Tree, outputs: list[int], fitted: Fitted) -> Iterator[tuple[Leaf, Floats]]:
    """For each output of a tree its leaves, and which explained and training rows share one, (R, N)."""
    leaf = leaves_of(tree, fitted.train)
    together = (leaves_of(tree, fitted.rows)[:, None] == leaf[None, :]).astype(np.float64)
    for column, k in enumerate(outputs):
        yield Leaf(leaf, tree.value[:, column], k), together
