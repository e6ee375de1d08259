"""The exact tail of the binomial distribution, against scipy where scipy can still tell."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from scipy.stats import binom

from bessemer.stats.binomial import log2_upper_tail, tries_to_claim


@pytest.mark.parametrize("tries", [2, 7, 128, 440])
@pytest.mark.parametrize("choices", [2, 3, 10])
def test_the_tail_is_scipys(tries: int, choices: int) -> None:
    for hits in {0, 1, tries // 3, tries // 2}:
        expected = binom.logsf(hits - 1, tries, 1 / choices) / math.log(2)
        assert log2_upper_tail(hits, tries, choices) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_the_tail_is_exact_in_fractions() -> None:
    total = sum(Fraction(math.comb(9, k) * 2 ** (9 - k), 3**9) for k in range(4, 10))
    assert 2 ** log2_upper_tail(4, 9, 3) == pytest.approx(float(total), rel=1e-14)


def test_far_below_what_a_float_can_hold() -> None:
    assert log2_upper_tail(5000, 5000, 2) == -5000.0


@pytest.mark.parametrize("wrong", [(-1, 5, 2), (6, 5, 2), (1, 5, 1)])
def test_impossible_numbers_are_refused(wrong: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="hits of"):
        log2_upper_tail(*wrong)


@pytest.mark.parametrize("choices", [2, 4, 10])
def test_no_fewer_tries_prove_a_claim(choices: int) -> None:
    share = 0.6 + 0.4 / choices
    fewest = tries_to_claim(choices, 0.6, 64)
    assert log2_upper_tail(math.floor(fewest * share), fewest, choices) <= -64
    before = fewest - 1
    assert log2_upper_tail(math.floor(before * share), before, choices) > -64
