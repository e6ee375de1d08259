"""How many answers surely stand, of a model of trees whose rows may be moved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bessemer.stats.intervals import wilson
from bessemer.train.certified.engine import worst_margins
from bessemer.train.certified.reach import Reach
from bessemer.train.metrics import output_of
from bessemer.train.tree_model import TreeModel

if TYPE_CHECKING:
    from bessemer.train.learner import Part, Problem
    from bessemer.train.outcome import Candidate


def standing(candidate: Candidate, problem: Problem, judged: Part, reach: Reach) -> str:
    """The share of judged rows that are answered rightly wherever they may be moved, with its interval, in words; two
    classes are parted at a probability of one half."""
    model = candidate.fitted
    assert isinstance(model, TreeModel)
    margin = worst_margins(model.trees, problem, judged, reach)
    output = output_of(problem.task, candidate.calibration.score(margin))
    said = (output >= 0.5).astype(np.float64) if output.ndim == 1 else output.argmax(axis=1)
    right = int((said == judged.y).sum())
    low, high = wilson(right, len(judged), 0.95)
    return f"{right / len(judged):.1%} [{low:.1%}, {high:.1%}] surely stand"
