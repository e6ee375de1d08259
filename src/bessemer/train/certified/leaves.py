"""The leaves of a tree that moved rows may fall into, and leaf values that are right for the worst of them.

The loss of the worst leaf is convex in the values, and so is the sum over the trees of each one's worst: what is
minimised is an upper bound of the loss under attack, as in Andriushchenko and Hein, Provably robust boosted decision
stumps and trees against adversarial attacks (2019). They grow trees by it too; here a library grows them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bessemer.package.trees.model import Tree
from bessemer.train.certified.reach import Floats, Floats32, Reach

Ints = npt.NDArray[np.int64]
Leaf = npt.NDArray[np.int32]
#: Steps towards the best leaf values; they become shorter, since the worst leaf changes with them.
_STEPS = 8
#: Rows that are sent through a tree together.
_ROWS = 65_536


@dataclass(frozen=True)
class Leaves:
    """Which leaves of one tree N rows may fall into: one row's side by side.

    leaf: (P,) int32, P >= N. first: (N,), where each row's begin. count: leaves of the tree.
    """

    leaf: Leaf
    first: Ints
    count: int

    def worst(self, value: Floats, sign: Floats) -> Ints:
        """The leaf (N,) whose value is the least where the sign (N,) is 1, the greatest where it is -1."""
        order = np.argsort(value, kind="stable")
        place = np.empty(self.count, dtype=np.int32)
        place[order] = np.arange(self.count)
        sizes = np.diff(np.append(self.first, len(self.leaf)))
        signed = np.repeat(sign.astype(np.int32), sizes) * place[self.leaf]
        found: Ints = order[np.abs(np.minimum.reduceat(signed, self.first))]
        return found

    def fitted(self, margin: Floats, sign: Floats, weight: Floats, penalty: float) -> Floats:
        """Leaf values (L,) that make the weighted logistic loss of the worst leaf small.

        Args:
            margin: (N,) what stands surely before this tree. sign: (N,) 1 or -1, the right answer.
            penalty: of half the sum of squares of the values.
        """
        sizes = np.diff(np.append(self.first, len(self.leaf)))
        slope, curve = _derivatives(margin, sign, weight)
        # At first all leaves of a row have a part in it.
        even = [np.bincount(self.leaf, np.repeat(each / sizes, sizes), self.count) for each in (slope, curve)]
        value = -even[0] / np.maximum(even[1] + penalty, 1e-12)
        best, least = np.zeros(self.count), _loss(margin, sign, weight)
        for step in range(_STEPS):
            worst = self.worst(value, sign)
            now = margin + value[worst]
            loss = _loss(now, sign, weight) + penalty / 2 * float((value * value).sum())
            if loss < least:
                best, least = value, loss
            slope, curve = _derivatives(now, sign, weight)
            uphill = np.bincount(worst, slope, self.count) + penalty * value
            steep = np.bincount(worst, curve, self.count) + penalty
            value = value - uphill / np.maximum(steep, 1e-12) / (step + 1)
        return best


def _loss(margin: Floats, sign: Floats, weight: Floats) -> float:
    """The weighted logistic loss; summed without BLAS, whose sums differ with its threads."""
    return float((weight * np.logaddexp(0, -sign * margin)).sum())


def _derivatives(margin: Floats, sign: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """The first and the second derivative (N,) of the logistic loss by the margin."""
    wrong = 1 / (1 + np.exp(np.clip(sign * margin, -500, 500)))
    return -sign * wrong * weight, wrong * (1 - wrong) * weight


def leaves_of(tree: Tree, X: Floats32, reach: Reach) -> Leaves:
    """The leaves that rows X (N, F) may be moved into. A value that may be left out is so at each branch anew: that is
    more than can be, never less."""
    parts = [_reached(tree, X[i : i + _ROWS], reach) for i in range(0, len(X), _ROWS)]
    leaf, sizes = (np.concatenate([part[i] for part in parts]) for i in range(2))
    return Leaves(leaf, np.cumsum(sizes) - sizes, tree.branches + 1)


def _reached(tree: Tree, X: Floats32, reach: Reach) -> tuple[Leaf, Ints]:
    """The leaves of all rows side by side, and how many each row (N,) has."""
    found = np.zeros((len(X), tree.branches + 1), dtype=bool)
    if not tree.branches:
        return np.zeros(len(X), dtype=np.int32), np.ones(len(X), dtype=np.int64)
    features, place = np.unique(tree.feature, return_inverse=True)
    X, reach = X[:, features], reach.of(features)
    least, most = reach.ends(X)
    missing = np.isnan(X)
    here: dict[int, npt.NDArray[np.bool_]] = {0: np.ones(len(X), dtype=bool)}
    for branch in range(tree.branches):
        at, f = here.pop(branch), int(place[branch])
        gone = missing[:, f] | reach.gone[f]
        left = (least[:, f] <= tree.threshold[branch]) | (gone & tree.missing_left[branch])
        right = (most[:, f] > tree.threshold[branch]) | (gone & ~tree.missing_left[branch])
        for child, goes in ((int(tree.left[branch]), left), (int(tree.right[branch]), right)):
            if child >= 0:
                here[child] = at & goes
            else:
                found[:, -1 - child] = at & goes
    return np.nonzero(found)[1].astype(np.int32), found.sum(axis=1)
