"""Look-up tables of symmetric trees against LightGBM's TreeSHAP and against the definition."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from math import factorial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessemer.package.trees.model import Tree, Trees, simplified
from bessemer.package.trees.shapley import LightGBM, TreeShapley
from bessemer.package.trees.symmetric import SymmetricTrees, levels_of

FEATURES = 5
#: LightGBM undoes steps of a path by dividing by shares of the weight, here down to a billionth: its values are then up
#: to 2e-6 off. The tables are held to 1e-12 by the definition below.
TREESHAP = 5e-6


def symmetric(depth: int, seed: int) -> Tree:
    """A symmetric tree of random questions, features among them twice, with leaves no row reached."""
    rng = np.random.default_rng(seed)
    feature, threshold = rng.integers(0, FEATURES, depth), rng.normal(size=depth).astype(np.float32)
    missing = rng.random(depth) < 0.5
    branches = (1 << depth) - 1
    level = np.array([int(np.log2(b + 1)) for b in range(branches)], dtype=np.int64)
    below = 2 * np.arange(branches)[:, None] + [1, 2]
    sides = np.where(below < branches, below, branches - 1 - below)
    value = np.where(rng.random(1 << depth) < 0.3, 0.0, rng.normal(size=1 << depth))
    cover = np.where(value == 0, 0.0, rng.integers(1, 100, 1 << depth)).astype(np.float64)
    left, right = sides.astype(np.int32).T
    return Tree(
        feature[level].astype(np.int32), threshold[level], missing[level], left, right, value[:, None], cover
    )


def rows(n: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, FEATURES)).astype(np.float32)
    X[rng.random(X.shape) < 0.1] = np.nan
    return X


@given(st.integers(1, 6), st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_the_same_values_as_treeshap(depth: int, seed: int) -> None:
    trees = [simplified(symmetric(depth, seed + i)) for i in range(3)]
    levels = [levels_of(tree) for tree in trees]
    assert all(one is not None for one in levels)
    X = rows(20, seed)
    found = SymmetricTrees([one for one in levels if one], np.arange(FEATURES), FEATURES).contributions(X)
    walked = [tree for tree in trees if tree.branches]
    if walked:
        expected = LightGBM(walked, FEATURES, 1).contributions(X)
        expected[:, -1] += sum(float(tree.value[0, 0]) for tree in trees if not tree.branches)
        np.testing.assert_allclose(found, expected, atol=TREESHAP)
    margin = Trees(tuple(trees), np.zeros(1), FEATURES).margin(X)[:, 0]
    np.testing.assert_allclose(found.sum(axis=1), margin, atol=1e-12)


@pytest.mark.parametrize(("depth", "seed"), [(4, 3), (5, 9012), (6, 1141)])
def test_the_definition_over_all_sets(depth: int, seed: int) -> None:
    """Shapley's formula, with the mean over covers where a feature is not known."""
    tree = symmetric(depth, seed)
    X = rows(6, 1)
    players = sorted(set(tree.feature.tolist()))

    def mean(row: np.ndarray, known: frozenset[int], node: int) -> tuple[float, float]:
        if node < 0:
            return float(tree.value[-1 - node, 0]), float(tree.cover[-1 - node])
        below = [mean(row, known, int(side[node])) for side in (tree.left, tree.right)]
        weight = below[0][1] + below[1][1]
        f = int(tree.feature[node])
        if f in known:
            x = row[f]
            goes_left = bool(tree.missing_left[node]) if np.isnan(x) else bool(x <= tree.threshold[node])
            return below[0 if goes_left else 1][0], weight
        share = below[0][1] / weight if weight else 0.5
        return share * below[0][0] + (1 - share) * below[1][0], weight

    one = levels_of(tree)
    assert one is not None
    found = SymmetricTrees([one], np.arange(FEATURES), FEATURES).contributions(X)
    for row, values in zip(X, found, strict=True):
        for player in players:
            others, total = [p for p in players if p != player], 0.0
            for size in range(len(others) + 1):
                weight = factorial(size) * factorial(len(others) - size) / factorial(len(players))
                for subset in combinations(others, size):
                    known = frozenset(subset)
                    total += weight * (mean(row, known | {player}, 0)[0] - mean(row, known, 0)[0])
            assert values[player] == pytest.approx(total, abs=1e-12)


def test_trees_that_are_not_symmetric_are_left_to_the_others() -> None:
    tree = symmetric(3, 0)
    other = replace(tree, threshold=tree.threshold + np.float32([0, 1, 0, 0, 0, 0, 0]))
    assert levels_of(other) is None
    assert levels_of(symmetric(9, 0)) is None
    mixed = Trees((tree, other), np.array([0.5]), FEATURES)
    X = rows(30, 4)
    base, each = TreeShapley(mixed).contributions(X)
    np.testing.assert_allclose(base + each.sum(axis=1), mixed.margin(X), atol=1e-9)
    np.testing.assert_allclose(TreeShapley(mixed).margin(X), mixed.margin(X))


def test_a_look_up_is_reckoned_cheaper_than_a_walk() -> None:
    deep = symmetric(8, 1)
    other = replace(deep, threshold=deep.threshold + (np.arange(255) == 1).astype(np.float32))
    as_levels, as_walk = (TreeShapley(Trees((t,), np.zeros(1), FEATURES)).work for t in (deep, other))
    assert as_levels * 20 < as_walk
