"""Poisoning: which labels are flipped, and that the small model suffers from them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from trees_support import sample_of, small

from bessemer.attack.attacks.poisoning import Poisoning, PoisoningSettings, flipped, surest
from bessemer.stats.intervals import wilson
from bessemer.testing.attacks import check_attack


def test_the_surest_rows_are_flipped_to_the_class_behind() -> None:
    scores = np.array([[3.0, 1.0, 0.0], [0.0, 9.0, 8.0], [0.0, 0.0, 7.0], [1.0, 4.0, 0.0]])
    order, to = surest(scores, np.array([0, 1, 2, 0]))
    assert order.tolist() == [2, 0, 1, 3]
    assert to.tolist() == [1, 2, 0, 1]
    assert flipped(np.array([0, 1, 2, 0]), order, to, 0.5).tolist() == [1, 1, 0, 0]


@pytest.mark.slow
@pytest.mark.parametrize("proxy", ["forest", "linear", "network"])
def test_wrong_labels_do_harm(proxy: str, tmp_path: Path) -> None:
    one = small(tmp_path, 5)
    sample = sample_of(one, 60, tmp_path / "drawn")
    found = check_attack(Poisoning, {"shares": [0.02, 0.5], "proxy": proxy}, one, sample, tmp_path / "run")
    clean, little, much = found.curve
    assert (clean.budget, little.budget, much.budget) == (0.0, 0.02, 0.5)
    assert much.value < clean.value - 0.1
    assert much.value == min(much.more["by_random"], much.more["by_chosen"])
    assert proxy in found.measure
    assert (clean.low, clean.high) == wilson(round(clean.value * found.rows), found.rows, 0.95)
    assert (much.low, much.high) == wilson(round(much.value * found.rows), found.rows, 0.975), (
        "the worse of two is worse by chance too"
    )
    assert found.notes[0].startswith("not of the model that ships")


def test_a_number_has_no_label(tmp_path: Path) -> None:
    one = small(tmp_path, 5)
    number = replace(one, facts={**one.facts, "task": "regression"})
    assert "target is a number" in Poisoning(PoisoningSettings()).refuses(number)
    assert not Poisoning(PoisoningSettings()).refuses(one)
