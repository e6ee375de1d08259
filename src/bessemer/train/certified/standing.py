"""How many answers surely stand, of a model of trees whose rows may be moved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bessemer.package.trees.model import Trees
from bessemer.stats.intervals import wilson
from bessemer.train.certified.engine import signs, worst_margins
from bessemer.train.certified.reach import Reach
from bessemer.train.metrics import output_of
from bessemer.train.tree_model import TreeModel

if TYPE_CHECKING:
    from bessemer.train.learner import Part, Problem
    from bessemer.train.outcome import Candidate

#: Scores that are nearer may be probabilities that float32 does not tell apart.
_APART = 2.0**-22


def standing(candidate: Candidate, problem: Problem, judged: Part, reach: Reach) -> str:
    """The share of judged rows that are answered rightly wherever they may be moved, with its interval, in words; two
    classes are parted at a probability of one half. What is computed from what may move is taken for anything, and the
    float32 of what ships is allowed for."""
    model = candidate.fitted
    assert isinstance(model, TreeModel)
    sign = signs(problem, judged.y)
    margin = worst_margins(model.trees, problem, judged, reach.sure()) - sign * _rounding(model.trees)
    output = output_of(problem.task, candidate.calibration.score(margin) - sign * _APART)
    said = (output >= 0.5).astype(np.float64) if output.ndim == 1 else output.argmax(axis=1)
    right = int((said == judged.y).sum())
    low, high = wilson(right, len(judged), 0.95)
    return f"{right / len(judged):.1%} [{low:.1%}, {high:.1%}] surely stand"


def _rounding(trees: Trees) -> float:
    """How far a margin that is summed and calibrated in float32 may be from the exact one, as a calibrated one is ahead
    of another."""
    largest = sum(float(np.abs(tree.value).max()) for tree in trees.trees)
    return 2 * (len(trees.trees) + 4) * 2.0**-24 * (largest + float(np.abs(trees.base).max()))
