"""What a comparison must show before a model is served."""

from __future__ import annotations

import math

import pytest

from bessemer.evaluate.compare import Versus
from bessemer.retrain.duel import Comparison, verdict


def found(difference: float, low: float, high: float) -> Comparison:
    return Comparison("roc_auc", 500, 0.8 + difference, 0.8, Versus("roc_auc", difference, low, high))


@pytest.mark.parametrize(
    ("difference", "low", "won", "why"),
    [
        (0.02, 0.01, True, "better"),
        (0.01, -0.007, True, "better"),
        (0.01, -0.009, False, "may be worse by more than 0.008"),
        (-0.001, -0.002, False, "not better"),
        (math.nan, math.nan, False, "not defined"),
    ],
)
def test_it_must_be_as_good_and_surely_not_much_worse(
    difference: float, low: float, won: bool, why: str
) -> None:
    said = verdict(found(difference, low, 0.05), margin=0.01)
    assert said[0] is won
    assert why in said[1]
