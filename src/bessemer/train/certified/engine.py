"""Certified boosting: a library grows each tree, and its leaves get values that are right wherever rows may be moved.

What a tree is grown by are the gradients of the margin that surely stands: of each tree so far the worst leaf that a
row may be moved into. It is shown every row twice, at two opposite corners of where it may be moved, drawn anew each
round: a threshold that rows can be moved across then parts little. So the library's own settings hold, and boosting
in segments, early stopping and checkpoints are those of all learners; what they judge is the worst margin.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from bessemer.package.trees.model import Tree, Trees
from bessemer.package.trees.shapley import TreeShapley
from bessemer.train.certified.leaves import leaves_of
from bessemer.train.certified.monotone import ordered
from bessemer.train.certified.reach import Floats, Floats32, Reach
from bessemer.train.learners.boosting import Boosting
from bessemer.train.learners.constant import prior
from bessemer.train.metrics import output_of
from bessemer.train.tree_model import TreeModel

if TYPE_CHECKING:
    from bessemer.train.learner import Callbacks, Part, Problem

#: Rows that a tree is grown by, at most, drawn anew each round (Friedman 2002); its leaves are fitted to all.
MOST_ROWS = 100_000
#: How often each of them is shown.
COPIES = 2
_NONE = np.zeros(0, dtype=np.int32)
#: A tree without branches, where no split helps.
CONSTANT = Tree(_NONE, np.zeros(0, np.float32), np.zeros(0, bool), _NONE, _NONE, np.zeros((1, 1)), np.ones(1))


class Grower(Protocol):
    """A library that grows single trees.

    penalty: of leaf values, half of it times their squares. rate: the step of a round.
    """

    penalty: float
    rate: float

    def grow(self, X: Floats32, slope: Floats, curve: Floats, seed: int) -> Tree:
        """A tree by the first and the second derivatives (n,) of rows (n, F); without branches where no split helps."""
        ...


class CertifiedEngine:
    """See `boosting.Engine`. Margins are the worst, float64: low for the right class, high for all others."""

    def __init__(
        self, grower: Grower, problem: Problem, parts: Mapping[str, Part], reach: Reach, callbacks: Callbacks
    ) -> None:
        self._grower, self._problem, self._parts = grower, problem, parts
        self._reach, self._callbacks = reach, callbacks
        self._signs = {name: signs(problem, part.y) for name, part in parts.items()}
        train = parts["train"]
        weight = problem.row_weights(train)
        self._weight = np.ones(len(train)) if weight is None else weight
        self._margins: dict[str, Floats] = {}
        self._grown: list[Tree] = []
        self._segment = 0

    def begin(self, segment: int, margins: dict[str, np.ndarray]) -> None:
        self._segment, self._grown = segment, []
        self._margins = {name: value.astype(np.float64) for name, value in margins.items()}

    def step(self) -> bool:
        number, k = len(self._grown), self._problem.outputs
        seeds = [self._callbacks.seed(f"certified/{self._segment}/{number}/{j}") for j in range(k)]
        rows, moved = self._shown(np.random.default_rng(seeds))
        slope, curve = (np.tile(each[rows] / COPIES, (COPIES, 1)) for each in self._derivatives())
        grown = [self._grower.grow(moved, slope[:, j], curve[:, j], seeds[j]) for j in range(k)]
        if not any(tree.branches for tree in grown):
            return False
        offsets = self._offsets()
        self._grown += [self._fitted(tree, j, offsets[:, j]) for j, tree in enumerate(grown)]
        for tree in self._grown[-k:]:
            for name, part in self._parts.items():
                self._margins[name] += worst(tree, part.X, self._signs[name], self._reach)
        return True

    def margins(self, part: str) -> np.ndarray:
        return self._margins[part].copy()

    def trees(self, rounds: int) -> Trees:
        k = self._problem.outputs
        return Trees(tuple(self._grown[: rounds * k]), np.zeros(k), self._parts["train"].X.shape[1])

    def _shown(self, rng: np.random.Generator) -> tuple[npt.NDArray[np.int64], Floats32]:
        """The rows (n,) that a tree is grown by, and their corners (COPIES * n, F)."""
        X = self._parts["train"].X
        rows = np.arange(len(X))
        if len(X) > MOST_ROWS:
            rows = np.sort(rng.choice(rows, MOST_ROWS, replace=False))
        least, most = self._reach.ends(np.asarray(X[rows]))
        up = rng.integers(0, 2, least.shape, dtype=bool)
        return rows, np.concatenate([np.where(up, most, least), np.where(up, least, most)]).astype(np.float32)

    def _derivatives(self) -> tuple[Floats, Floats]:
        """Of the loss of the worst margins by each of them, (N, K')."""
        output = output_of(self._problem.task, self._margins["train"]).reshape(len(self._weight), -1)
        right = (self._signs["train"] > 0).astype(np.float64)
        weight = self._weight[:, None]
        return (output - right) * weight, np.maximum(output * (1 - output), 1e-16) * weight

    def _offsets(self) -> Floats:
        """(N, K'): how far an output is ahead of all others, which is what its own tree adds to."""
        margins = self._margins["train"]
        if margins.shape[1] == 1:
            return margins.copy()
        top = margins.max(axis=1, keepdims=True)
        each = np.exp(margins - top)
        others = np.maximum(each.sum(axis=1, keepdims=True) - each, 1e-300)
        ahead: Floats = margins - top - np.log(others)
        return ahead

    def _fitted(self, tree: Tree, output: int, offset: Floats) -> Tree:
        if not tree.branches:
            return replace(tree, value=np.zeros((1, 1)), target=output)
        leaves = leaves_of(tree, self._parts["train"].X, self._reach)
        sign = self._signs["train"][:, output]
        value = leaves.fitted(offset, sign, self._weight, self._grower.penalty)
        value = ordered(tree, value, self._problem.monotone) * self._grower.rate
        # As checkpoints and packages have them: what goes on from a checkpoint, and what ships, is the same to the bit.
        value = value.astype(np.float32).astype(np.float64)
        return replace(tree, value=value[:, None], target=output)


def signs(problem: Problem, y: Floats) -> Floats:
    """(N, K'): 1 where the right answer wants a margin high, -1 where low."""
    if problem.outputs == 1:
        return np.where(y > 0, 1.0, -1.0)[:, None]
    return np.where(y[:, None] == np.arange(problem.outputs), 1.0, -1.0)


def worst(tree: Tree, X: Floats32, sign: Floats, reach: Reach) -> Floats:
    """What a tree adds at the least to each margin (N, K'), seen from where it should be: zeros but for its target."""
    assert tree.value.shape[1] == 1
    found, own, value = np.zeros(sign.shape), sign[:, tree.target], tree.value[:, 0]
    if not tree.branches:
        found[:, tree.target] = value[0]
    elif len(X):
        found[:, tree.target] = value[leaves_of(tree, X, reach).worst(value, own)]
    return found


def worst_margins(trees: Trees, problem: Problem, part: Part, reach: Reach) -> Floats:
    """The margins (N, K') that surely stand: low for the right class, high for all others."""
    sign = signs(problem, part.y)
    total = np.tile(trees.base.astype(np.float64), (len(part), 1))
    for tree in trees.trees:
        total += worst(tree, part.X, sign, reach)
    return total


def fit(
    grower: Grower,
    problem: Problem,
    train: Part,
    valid: Part,
    params: Mapping[str, Any],
    callbacks: Callbacks,
    name: str,
) -> TreeModel:
    """One fit, from the first round to the model; `problem.reach` says what may be moved."""
    reach = problem.reach
    assert reach is not None
    parts = {"train": train, **({"valid": valid} if len(valid) else {})}
    base = prior(problem, train.y, problem.row_weights(train))
    engine = CertifiedEngine(grower, problem, parts, reach, callbacks)
    boosting = Boosting(engine, problem, parts, base, callbacks, f"{name} certified")
    trees, rounds = boosting.run()
    said = {**params, "robust": {"certified": reach.settings.model_dump(mode="json")}}
    return TreeModel(trees, TreeShapley(trees, callbacks.threads).margin, said, rounds, boosting.curves)
