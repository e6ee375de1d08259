"""The trees behind the score that ships: one sum of leaves a class, calibration among it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bessemer.core.errors import FormatError
from bessemer.package.trees.model import Tree, Trees, added

if TYPE_CHECKING:
    from bessemer.attack.answers import Answers
    from bessemer.attack.protocol import Sample, Victim

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Ensemble:
    """score (N, K') = base + the leaves that a row falls into.

    leaves: (L, K') float64, what each leaf adds, a tree's side by side. first: (T,) where each tree's begin.
    """

    trees: tuple[Tree, ...]
    base: Floats
    leaves: Floats
    first: npt.NDArray[np.int64]

    @cached_property
    def rounding(self) -> float:
        """How far a float32 sum of the leaves may be from the exact one."""
        largest = np.maximum.reduceat(np.abs(self.leaves), self.first, axis=0) if len(self.trees) else 0.0
        most = float((np.sum(largest, axis=0) + np.abs(self.base)).max())
        return (len(self.trees) + 4) * 2.0**-24 * most

    @property
    def room(self) -> float:
        """How far ahead the exact sums of a class have to be for the graph to say it. Of several classes two sums are
        compared, as float32 probabilities: those of scores less than 2**-22 apart may be equal."""
        return self.rounding if self.leaves.shape[1] == 1 else 2 * self.rounding + 2.0**-22

    def as_trees(self) -> Iterator[Tree]:
        """The trees with these leaves."""
        for tree, first in zip(self.trees, self.first, strict=True):
            yield replace(tree, value=self.leaves[first : first + tree.branches + 1], target=0)

    def margins(self, best: int, other: int, offset: float) -> tuple[Floats, float]:
        """What each leaf (L,), and the base, add to how far the class `other` is ahead of `best`.

        offset: of two classes, the score from which the second is said.
        """
        if self.leaves.shape[1] > 1:
            return self.leaves[:, other] - self.leaves[:, best], float(self.base[other] - self.base[best])
        sign = 1.0 if other == 1 else -1.0
        return sign * self.leaves[:, 0], sign * float(self.base[0] - offset)


def ensemble_of(victim: Victim) -> Ensemble:
    """The victim's trees.

    Raises:
        FormatError: it is not made of trees, or of trees behind a link; the text says what it is.
    """
    native = victim.facts["native"]
    trees = _trees(str(native["kind"]), victim.native)
    calibration = victim.facts.get("calibration") or {}
    scale, offset = float(calibration.get("scale", 1.0)), float(calibration.get("offset", 0.0))
    values = [_spread(tree, trees.outputs) * scale for tree in trees.trees]
    sizes = np.array([len(value) for value in values], dtype=np.int64)
    leaves = np.concatenate(values) if values else np.zeros((0, trees.outputs))
    return Ensemble(trees.trees, trees.base * scale + offset, leaves, np.cumsum(sizes) - sizes)


def _trees(kind: str, content: bytes) -> Trees:
    from bessemer.package.natives import decode_ensemble
    from bessemer.package.trees.codec import decode

    if kind == "ensemble":
        members = decode_ensemble(content)
        return added([_trees(m.kind, m.content).scaled(m.weight) for m in members])
    if kind != "trees":
        raise FormatError(f"the model is of kind '{kind}', not of trees alone")
    trees = decode(content)
    if trees.link != "identity":
        raise FormatError(f"its score is the {trees.link} of a sum of trees, not the sum itself")
    return trees


def _spread(tree: Tree, outputs: int) -> Any:
    """A tree's leaves as (B + 1, K')."""
    if tree.value.shape[1] == outputs:
        return tree.value
    found = np.zeros((len(tree.value), outputs))
    found[:, tree.target] = tree.value[:, 0]
    return found


def check_ensemble(ensemble: Ensemble, answers: Answers, sample: Sample) -> None:
    """Hold the trees against the graph on the sample as it stands.

    Raises:
        FormatError: their scores differ, so what is found in the trees would not be of the graph.
    """
    whole = Trees(tuple(ensemble.as_trees()), ensemble.base, sample.X.shape[1])
    rows = np.arange(len(sample))
    found = answers.of_classes(whole.margin(sample.X).astype(np.float32), rows)
    apart = float(np.abs(found - answers.scores(sample.X, rows)).max(initial=0))
    answers.asked -= len(sample)
    if not apart <= ensemble.rounding + 1e-6:
        raise FormatError(f"the model's own trees differ from the graph that ships by {apart:.2g}")
