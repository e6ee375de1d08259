"""A rise at the end of a stream: as rare by chance as it says, and found where it is."""

from __future__ import annotations

import numpy as np
import pytest

from bessemer.stats.latest_rise import latest_rise


@pytest.mark.parametrize("rate", [0.02, 0.1, 0.5])
def test_by_chance_as_rarely_as_it_says(rate: float) -> None:
    """Of 400 streams 20 on average at one in twenty; 34 or more once in a thousand times. Bonferroni makes it rarer."""
    found = [latest_rise(np.random.default_rng([i, int(rate * 100)]).random(2000) < rate) for i in range(400)]
    assert sum(each is not None and each.p_value <= 0.05 for each in found) < 34


def test_a_rise_is_found_with_about_where_it_began() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        found = latest_rise(np.concatenate([rng.random(3000) < 0.1, rng.random(600) < 0.25]))
        assert found is not None
        assert found.p_value < 1e-4
        assert 450 < found.labels < 800
        assert found.labels + found.before == 3600
        rise = found.errors / found.labels - found.errors_before / found.before
        assert 0.6 < found.critical(found.p_value) / rise < 1.3, (
            "what it is by chance as rarely is what it is"
        )


def test_better_is_no_rise() -> None:
    rng = np.random.default_rng(0)
    found = latest_rise(np.concatenate([rng.random(3000) < 0.3, rng.random(600) < 0.1]))
    assert found is not None
    assert found.p_value > 0.05
    assert latest_rise([1] * 19) is None
