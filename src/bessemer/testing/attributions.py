"""What every method of additive explanations must keep. In a method's own tests:

from bessemer.testing.attributions import check_attribution

def test_my_method(model, rows, background):
    check_attribution("my_method", {}, kind, native, model_json, rows, background)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bessemer.package.attribution.chosen import Chosen
from bessemer.package.attribution.plugins import METHODS
from bessemer.package.contributions import Contributions
from bessemer.package.shapley import Estimate

#: How far base and parts may be from the score, as a share of its size.
TOLERANCE = 1e-6


def check_attribution(
    method: str,
    settings: Mapping[str, int],
    kind: str,
    native: bytes,
    model_json: Mapping[str, Any],
    rows: np.ndarray,
    background: np.ndarray,
) -> Estimate:
    """Explain rows (N, F) float32 of a native model, and hold the parts to the laws; gives them back for more tests.

    Base and parts sum to the score. The base of a method with a background is the mean score of all its rows. A group
    whose values are those of every row of the background gets nothing. A row's parts do not depend on its neighbours,
    and come out the same, bit for bit, a second time. Errors are not negative, and 0 where nothing is left to chance.
    """
    draws = METHODS.load(method).draws

    def opened(against: np.ndarray) -> Contributions:
        chosen = Chosen(method, settings, against if draws else None)
        return Contributions(kind, native, model_json, chosen=chosen)

    explain = opened(background)
    found = explain.estimate(rows)
    score = explain.score(rows)
    scale = max(1.0, float(np.abs(score).max(initial=0.0)))
    gap = np.abs(found.base + found.each.sum(axis=1) - score).max(initial=0.0)
    assert gap <= TOLERANCE * scale, f"{method}: base and parts miss the score by {gap:.3g}"
    assert found.each.shape == found.error.shape == (len(rows), rows.shape[1], score.shape[1])
    assert (found.error >= 0).all(), f"{method}: an error is negative, or not known"
    if draws:
        mean = explain.score(background).mean(axis=0)
        apart = np.abs(found.base - mean).max()
        assert apart <= TOLERANCE * scale, (
            f"{method}: the base is {apart:.3g} off the mean score of the background"
        )
        _check_dummies(opened, rows, background, scale)
    again = opened(background).estimate(rows)
    assert found.each.tobytes() == again.each.tobytes(), f"{method}: the same rows get other parts"
    alone = opened(background).estimate(rows[:1]).each
    near = np.allclose(found.each[:1], alone, rtol=0, atol=TOLERANCE * scale)
    assert near, f"{method}: a row's parts depend on its neighbours"
    return found


def _check_dummies(opened: Any, rows: np.ndarray, background: np.ndarray, scale: float) -> None:
    """Columns that say the same in the row and in every background row have no part in their difference."""
    row = rows[:1]
    half = np.arange(rows.shape[1]) < rows.shape[1] // 2
    same = np.where(half, row, background).astype(np.float32)
    explain: Contributions = opened(same)
    found = explain.estimate(row)
    groups = explain.by_group(found.each)
    fixed = [name for name in explain.groups if half[explain.features_of(name)].all()]
    error = np.sqrt(explain.by_group(found.error**2))
    for name in fixed:
        at = explain.groups.index(name)
        allowed = TOLERANCE * scale + 5 * error[:, at]
        assert (np.abs(groups[:, at]) <= allowed).all(), f"'{name}' is the same everywhere and has a part"
