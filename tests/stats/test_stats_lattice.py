"""The lattice of slices against enumerating them one by one."""

from __future__ import annotations

import tracemalloc
from itertools import combinations, product

import numpy as np
import pytest
from scipy import stats

from bessemer.stats.lattice import GAIN, Cell, slices_in, worst


def brute(codes: list[np.ndarray], levels: list[int], loss: np.ndarray, fewest: int) -> dict[tuple, float]:
    """Every slice that is worse than the rest and than each of its parents, by masks; its t."""
    found = {}

    def t(mask: np.ndarray, within: np.ndarray) -> float:
        a, b = loss[mask], loss[within & ~mask]
        return stats.ttest_ind(a, b, equal_var=False).statistic if min(len(a), len(b)) > 1 else 0.0

    everything = np.ones(len(loss), dtype=bool)
    for size in (1, 2, 3):
        for chosen in combinations(range(len(codes)), size):
            for level in product(*(range(levels[c]) for c in chosen)):
                conditions = [codes[c] == k for c, k in zip(chosen, level, strict=True)]
                mask = np.logical_and.reduce(conditions)
                if mask.sum() < fewest or 2 * mask.sum() > len(loss):
                    continue
                score = t(mask, everything)
                parents = [
                    np.logical_and.reduce([everything, *conditions[:k], *conditions[k + 1 :]])
                    for k in range(size)
                ]
                if score > GAIN and all(t(mask, parent) > GAIN for parent in parents):
                    found[chosen, level] = score
    return found


def table(seed: int, n: int = 600) -> tuple[list[np.ndarray], list[int], np.ndarray]:
    rng = np.random.default_rng(seed)
    levels = [2, 3, 4, 3]
    codes = [rng.integers(0, k, n).astype(np.int8) for k in levels]
    loss = rng.exponential(size=n)
    loss[(codes[0] == 1) & (codes[2] == 3)] += 1.5
    loss[codes[1] == 2] += 0.4
    return codes, levels, loss


@pytest.mark.slow
def test_every_slice_is_scored_as_one_by_one() -> None:
    for seed in range(5):
        codes, levels, loss = table(seed)
        wanted = brute(codes, levels, loss, 20)
        first = max(wanted, key=lambda slice_: wanted[slice_])
        (found, *_) = worst(codes, levels, loss, depth=3, fewest=20, most=10)
        assert (found.columns, found.levels) == first
        for cell in worst(codes, levels, loss, depth=3, fewest=20, most=10):
            np.testing.assert_allclose(cell.score, wanted[cell.columns, cell.levels], rtol=1e-9)


def test_slices_that_repeat_one_another_are_given_once() -> None:
    codes, levels, loss = table(1)
    twin = codes[0].copy()  # the same column again, under another name
    found = worst([*codes, twin], [*levels, 2], loss, depth=3, fewest=20, most=10)
    masks = [cell.mask([*codes, twin]) for cell in found]
    for a, b in combinations(masks, 2):
        assert 2 * (a & b).sum() <= (a | b).sum()
    (planted,) = [
        cell for cell in found if cell.mask([*codes, twin])[(codes[0] == 1) & (codes[2] == 3)].all()
    ]
    assert planted.columns in [(0, 2), (2, 4)]


def test_a_slice_and_the_greater_part_of_it_are_given_once() -> None:
    """Both are worse, and the part is worse than the whole; but most of their rows are the same."""
    rng = np.random.default_rng(0)
    a, b = (rng.random((2, 2000)) < np.array([[0.3], [0.65]])).astype(np.int8)
    loss = rng.normal(size=2000) + a + 0.4 * (a & b)
    alone = worst([a, b], [2, 2], loss, depth=1, fewest=20, most=10)
    assert [(cell.columns, cell.levels) for cell in alone] == [((0,), (1,))]
    both = worst([a, b], [2, 2], loss, depth=2, fewest=20, most=10)
    assert [cell.levels[0] for cell in both if cell.columns[0] == 0] == [1]


def test_the_depth_the_least_rows_and_the_number_are_kept() -> None:
    codes, levels, loss = table(2)
    assert all(len(cell.columns) == 1 for cell in worst(codes, levels, loss, depth=1, fewest=5, most=10))
    assert len(worst(codes, levels, loss, depth=3, fewest=5, most=1)) == 1
    assert all(60 <= cell.rows <= 300 for cell in worst(codes, levels, loss, depth=3, fewest=60, most=10))
    assert worst(codes, levels, np.ones(600), depth=3, fewest=5, most=10) == []
    assert worst([], [], loss, depth=3, fewest=5, most=10) == []
    assert worst([c[:0] for c in codes], levels, loss[:0], depth=3, fewest=5, most=10) == []


def test_huge_losses_do_not_overflow() -> None:
    codes, levels, loss = table(3)
    plain = worst(codes, levels, loss, depth=2, fewest=20, most=5)
    great = worst(codes, levels, loss * 1e150, depth=2, fewest=20, most=5)
    assert [(c.columns, c.levels) for c in plain] == [(c.columns, c.levels) for c in great]


def test_inside_means_the_same_conditions_and_more() -> None:
    outer, inner = Cell((1,), (2,), 9, 1.0), Cell((0, 1), (5, 2), 4, 1.0)
    assert inner.inside(outer)
    assert not outer.inside(inner)
    assert not Cell((0, 1), (5, 1), 4, 1.0).inside(outer)


def test_memory_stays_small_whatever_the_number_of_slices() -> None:
    """84,000 slices of 20,000 rows: one set of columns at a time."""
    rng = np.random.default_rng(0)
    codes = [rng.integers(0, 12, 20_000).astype(np.int8) for _ in range(9)]
    assert slices_in([12] * 9, 3) > 84_000
    tracemalloc.start()
    worst(codes, [12] * 9, rng.exponential(size=20_000), depth=3, fewest=30, most=10)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10 * 2**20
