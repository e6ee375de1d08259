"""Shapley values of trees with numpy alone: those of LightGBM, and those of the definition."""

from __future__ import annotations

from itertools import combinations
from math import factorial
from typing import Any

import numpy as np
import pytest

from bessemer.package.trees import shapley
from bessemer.package.trees.model import Tree, Trees, counts, leaves_of
from bessemer.package.trees.paths import PathTrees
from bessemer.package.trees.shapley import LightGBM, TreeShapley


def grown(rng: np.random.Generator, depth: int, features: int, fewest: float = 0.0) -> Tree:
    """A random tree; its leaves may have no cover, its values are float32 as in a package."""
    rows: list[list[Any]] = []
    leaves: list[tuple[float, float]] = []

    def grow(left: int) -> int:
        if left == 0 or (rows and rng.random() < 0.15):
            leaves.append((float(np.float32(rng.normal())), float(rng.integers(0, 50)) + fewest))
            return -len(leaves)
        number = len(rows)
        rows.append([rng.integers(features), np.float32(rng.normal()), rng.random() < 0.5, 0, 0])
        rows[number][3:] = grow(left - 1), grow(left - 1)
        return number

    grow(depth)
    columns = zip(*rows, strict=True) if rows else ((),) * 5
    dtypes = (np.int32, np.float32, np.bool_, np.int32, np.int32)
    own = [np.array(column, dtype) for column, dtype in zip(columns, dtypes, strict=True)]
    return Tree(*own, np.array([[v] for v, _ in leaves]), np.array([c for _, c in leaves]))


def data(rng: np.random.Generator, n: int, features: int) -> np.ndarray:
    x = rng.normal(size=(n, features))
    odd = rng.choice([np.nan, np.inf, -np.inf, 0.0], x.shape)
    return np.where(rng.random(x.shape) < 0.2, odd, x).astype(np.float32)


@pytest.mark.parametrize(
    ("depth", "features", "trees"), [(0, 2, 2), (1, 3, 4), (3, 2, 9), (6, 20, 12), (10, 3, 3)]
)
def test_they_are_those_of_lightgbm(depth: int, features: int, trees: int) -> None:
    rng = np.random.default_rng(depth)
    grove = [grown(rng, depth, features) for _ in range(trees)]
    x = data(rng, 70, features)
    mine, theirs = PathTrees(grove, features), LightGBM(grove, features, 1)
    np.testing.assert_allclose(mine.contributions(x), theirs.contributions(x), atol=1e-12, rtol=1e-9)
    sums = Trees(tuple(grove), np.zeros(1), features).sums(x)[:, 0]
    np.testing.assert_allclose(mine.contributions(x).sum(axis=1), sums, atol=1e-9)


def _value(tree: Tree, x: np.ndarray, known: frozenset[int], node: int = 0) -> float:
    """What the tree is worth with some features known: the definition of the path-dependent game."""
    if node < 0:
        return float(tree.value[-1 - node, 0])
    leaves, branches = counts(tree.cover, tree.left, tree.right)
    sides = [int(tree.left[node]), int(tree.right[node])]
    feature = int(tree.feature[node])
    if feature in known:
        low = tree.missing_left[node] if np.isnan(x[feature]) else x[feature] <= tree.threshold[node]
        return _value(tree, x, known, sides[0] if low else sides[1])
    weights = [branches[side] if side >= 0 else leaves[-1 - side] for side in sides]
    return float(np.average([_value(tree, x, known, side) for side in sides], weights=weights))


def test_they_are_those_of_the_definition() -> None:
    rng = np.random.default_rng(3)
    features, tree = 4, grown(rng, 5, 4)
    for x in data(rng, 6, features):
        expected = np.zeros(features + 1)
        expected[-1] = _value(tree, x, frozenset())
        for i in range(features):
            others = [j for j in range(features) if j != i]
            for size in range(features):
                weight = factorial(size) * factorial(features - 1 - size) / factorial(features)
                for known in map(frozenset, combinations(others, size)):
                    expected[i] += weight * (_value(tree, x, known | {i}) - _value(tree, x, known))
        np.testing.assert_allclose(PathTrees([tree], features).contributions(x[None])[0], expected, atol=1e-9)


def test_rows_and_paths_in_blocks_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    grove, x = [grown(rng, 5, 6) for _ in range(5)], data(rng, 40, 6)
    whole = PathTrees(grove, 6)
    monkeypatch.setattr("bessemer.package.trees.paths._BLOCK", 64)
    parts = PathTrees(grove, 6)
    assert len(parts._groups) > len(whole._groups)
    np.testing.assert_allclose(parts.contributions(x), whole.contributions(x), atol=1e-12)


@pytest.mark.parametrize("link", ["identity", "logit"])
def test_without_lightgbm_the_contributions_are_the_same(link: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(6)
    trees = Trees(tuple(grown(rng, 4, 5) for _ in range(6)), np.array([0.25]), 5, link)
    x = data(rng, 30, 5)
    monkeypatch.setattr(shapley, "suited", lambda trees, *_, **__: np.zeros(len(trees), dtype=bool))
    expected = TreeShapley(trees)
    base, each = expected.contributions(x)
    monkeypatch.setattr(shapley, "has_lightgbm", lambda: False)
    found = TreeShapley(trees)
    mine_base, mine = found.contributions(x)
    np.testing.assert_allclose(mine_base, base, atol=1e-10)
    np.testing.assert_allclose(mine, each, atol=1e-10)
    np.testing.assert_allclose(found.margin(x), expected.margin(x), atol=1e-10)
    leaf = leaves_of(trees.trees[0], x)
    assert leaf.max() < len(trees.trees[0].value)
