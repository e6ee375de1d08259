"""The share that repeats in fewer rows: against all draws there are, and against draws."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from bessemer.stats.repeats import repeated_share

WORDS = "aaabbcdeff"


def of(words: str) -> tuple[np.ndarray, np.ndarray]:
    times = np.unique(list(words), return_counts=True)[1]
    return np.unique(times, return_counts=True)


@pytest.mark.parametrize("size", range(1, len(WORDS) + 1))
def test_it_is_the_mean_over_all_draws(size: int) -> None:
    every = [1 - len(set(draw)) / size for draw in combinations(WORDS, size)]
    assert repeated_share(*of(WORDS), size) == pytest.approx(np.mean(every), abs=1e-12)


def test_many_rows() -> None:
    rng = np.random.default_rng(0)
    rows = rng.zipf(1.3, 200_000) % 50_000
    times, values = np.unique(np.unique(rows, return_counts=True)[1], return_counts=True)
    drawn = [1 - len(np.unique(rng.choice(rows, 4096, replace=False))) / 4096 for _ in range(30)]
    assert repeated_share(times, values, 4096) == pytest.approx(np.mean(drawn), abs=0.005)
