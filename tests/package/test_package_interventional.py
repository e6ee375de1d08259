"""Exact values of trees against a background, by the definition; and what the C extension refuses."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from math import factorial
from typing import Any

import numpy as np
import pytest
from test_package_paths import _value, data, grown

from bessemer.core.errors import UsageError
from bessemer.package.trees import hybrids, interactions, interventional, sums
from bessemer.package.trees.hybrids import Hybrids
from bessemer.package.trees.interactions import TreeInteractions
from bessemer.package.trees.interventional import Interventional
from bessemer.package.trees.model import Tree, Trees
from bessemer.package.trees.numbered import numbered
from bessemer.package.trees.paths import PathTrees
from bessemer.package.trees.sums import TreeSums
from bessemer.package.trees.tabled import Tabled, leaves_of, leaves_type, path_dependent, suited

Margin = Callable[[np.ndarray], np.ndarray]


def by_definition(
    margin: Margin, X: np.ndarray, Z: np.ndarray, player: np.ndarray, players: int
) -> np.ndarray:
    """(N, P, K): the mean margin of the background with the known players' values, over all sets of players."""

    def worth(x: np.ndarray, known: set[int]) -> np.ndarray:
        return margin(np.where(np.isin(player, list(known)), x, Z).astype(np.float32)).mean(axis=0)

    found = np.zeros((len(X), players, margin(X[:1]).shape[1]))
    for n, x in enumerate(X):
        for i in range(players):
            others = [j for j in range(players) if j != i]
            for size in range(players):
                weight = factorial(size) * factorial(players - 1 - size) / factorial(players)
                for known in map(set, combinations(others, size)):
                    found[n, i] += weight * (worth(x, known | {i}) - worth(x, known))
    return found


def forest(seed: int, depth: int, features: int, trees: int, link: Any = "identity") -> Trees:
    rng = np.random.default_rng(seed)
    return Trees(
        tuple(grown(rng, depth, features) for _ in range(trees)), np.array([0.25]), features, link, 0.05
    )


def symmetric(seed: int, features: int) -> Trees:
    """Trees whose levels ask the same, a feature twice among them."""
    rng = np.random.default_rng(seed)
    each = []
    for _ in range(4):
        asked = rng.integers(features, size=3)
        feature = np.repeat(asked, [1, 2, 4]).astype(np.int32)
        threshold = np.repeat(rng.normal(size=3), [1, 2, 4]).astype(np.float32)
        missing = np.repeat(rng.random(3) < 0.5, [1, 2, 4])
        left, right = np.array([1, 3, 5, -1, -3, -5, -7]), np.array([2, 4, 6, -2, -4, -6, -8])
        value = rng.normal(size=(8, 1)).astype(np.float32).astype(np.float64)
        sides = (left.astype(np.int32), right.astype(np.int32))
        each.append(Tree(feature, threshold, missing, *sides, value, rng.integers(1, 9, 8).astype(float)))
    return Trees(tuple(each), np.array([0.5]), features)


WAYS = ["tables", "walk in C", "walk in numpy"]


def take(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if way != "tables":
        monkeypatch.setattr(
            interventional, "suited", lambda trees, *_, **__: np.zeros(len(trees), dtype=bool)
        )
        monkeypatch.setattr(interventional, "levels_of", lambda tree: None)
    if way == "walk in numpy":
        for module in (hybrids, sums):
            monkeypatch.setattr(module, "leaves_type", lambda: None)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("trees", "player"),
    [
        (forest(0, 0, 2, 1), [0, 1]),
        (forest(1, 3, 4, 4), [0, 1, 2, 3]),
        (forest(2, 6, 5, 5), [0, 1, 2, 3, 4]),
        (forest(3, 6, 6, 5), [0, 0, 1, 2, 2, 3]),
        (symmetric(4, 5), [0, 1, 2, 3, 1]),
    ],
    ids=["a leaf", "shallow", "deep", "groups", "symmetric"],
)
def test_they_are_those_of_the_definition(
    trees: Trees, player: list[int], way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(way, monkeypatch)
    of, players = np.array(player), max(player) + 1
    rng = np.random.default_rng(9)
    X, Z = data(rng, 6, trees.features), data(rng, 9, trees.features)
    base, each = Interventional(trees, Z, of, players).contributions(X)
    np.testing.assert_allclose(each, by_definition(trees.margin, X, Z, of, players), atol=1e-12)
    np.testing.assert_allclose(base, trees.margin(Z).mean(axis=0), atol=1e-12)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("link", ["logit", "log", "exp"])
def test_through_a_link_they_add_up_and_the_base_is_the_mean_margin(
    link: Any, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(way, monkeypatch)
    rng = np.random.default_rng(8)
    trees = forest(5, 5, 4, 4, link)
    X, Z = data(rng, 40, 4), data(rng, 30, 4)
    base, each = Interventional(trees, Z, np.arange(4), 4).contributions(X)
    np.testing.assert_allclose(base, trees.margin(Z).mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(base + each.sum(axis=1), trees.margin(X), atol=1e-9)
    one = Interventional(trees, X[:1], np.arange(4), 4).contributions(X[:1])[1]
    assert not one.any(), "a row against itself has no parts"


def test_no_row_of_the_background_is_left_out() -> None:
    rng = np.random.default_rng(7)
    trees = forest(6, 4, 3, 3)
    X, Z = data(rng, 20, 3), data(rng, 3000, 3)
    base, each = Interventional(trees, Z, np.arange(3), 3).contributions(X)
    parts = [
        Interventional(trees, Z[i : i + 300], np.arange(3), 3).contributions(X) for i in range(0, 3000, 300)
    ]
    np.testing.assert_allclose(each, np.mean([part for _, part in parts], axis=0), atol=1e-12)
    np.testing.assert_allclose(base, trees.margin(Z).mean(axis=0), atol=1e-12)
    few, _ = Interventional(trees, Z[:100], np.arange(3), 3).contributions(X)
    assert abs(few - base)[0] > 1e-3, "100 rows would have said something else"


@pytest.mark.parametrize("depth", [0, 1, 4, 9])
def test_tables_give_what_the_paths_give(depth: int) -> None:
    rng = np.random.default_rng(depth)
    grove, X = [grown(rng, depth, 12) for _ in range(6)], data(rng, 200, 12)
    assert suited(grove, np.arange(12)).all()
    tabled = Tabled(grove, np.arange(12), 12, path_dependent)
    expected = PathTrees(grove, 12).contributions(X)
    np.testing.assert_allclose(tabled.contributions(X), expected[:, :-1], atol=1e-12)
    assert tabled.base == pytest.approx(expected[0, -1])
    trees = Trees(tuple(grove), np.zeros(1), 12)
    np.testing.assert_allclose(TreeSums(trees).sums(X), trees.sums(X), atol=1e-12)


def test_the_budget_takes_the_smallest_trees() -> None:
    rng = np.random.default_rng(1)
    grove = [grown(rng, depth, 12) for depth in (9, 2, 9, 1)]
    fits = suited(grove, np.arange(12), budget=200)
    assert fits.tolist() == [False, True, False, True]


def test_threads_change_no_bit() -> None:
    rng = np.random.default_rng(2)
    trees, X, Z = forest(7, 6, 5, 9), data(rng, 3000, 5), data(rng, 20, 5)
    for link in ("identity", "logit"):
        own = Trees(trees.trees, trees.base, 5, link)  # type: ignore[arg-type]
        one, four = (Interventional(own, Z, np.arange(5), 5, n).contributions(X)[1] for n in (1, 4))
        assert one.tobytes() == four.tobytes()


@pytest.mark.slow
@pytest.mark.parametrize("way", ["tables", "paths"])
def test_interactions_are_those_of_the_definition(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if way == "paths":
        monkeypatch.setattr(interactions, "suited", lambda trees, *_, **__: np.zeros(len(trees), dtype=bool))
    rng = np.random.default_rng(3)
    trees = Trees(tuple(grown(rng, 5, 4, 1.0) for _ in range(3)), np.zeros(1), 4)
    X = data(rng, 5, 4)
    expected = np.zeros((5, 6))
    for n, x in enumerate(X):
        worth = lambda known, x=x: sum(_value(t, x, frozenset(known)) for t in trees.trees)  # noqa: E731
        for pair, (i, j) in enumerate(combinations(range(4), 2)):
            others = [k for k in range(4) if k not in (i, j)]
            for size in range(3):
                weight = factorial(size) * factorial(2 - size) / factorial(3)
                for known in map(set, combinations(others, size)):
                    moved = worth(known | {i, j}) - worth(known | {i}) - worth(known | {j}) + worth(known)
                    expected[n, pair] += weight * moved
    found = TreeInteractions(trees, np.arange(4), 4).compute(X)[:, :, 0]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    grouped = TreeInteractions(trees, np.array([0, 0, 1, -1]), 2).compute(X)[:, :, 0]
    np.testing.assert_allclose(grouped[:, 0], expected[:, 1] + expected[:, 3], atol=1e-12)


def chain(length: int) -> Tree:
    """A path that asks one feature after the other."""
    steps = np.arange(length, dtype=np.int32)
    right = np.where(steps + 1 < length, steps + 1, -1 - length).astype(np.int32)
    value = np.arange(length + 1, dtype=np.float64)[:, None]
    half = np.zeros(length, dtype=np.float32)
    return Tree(steps, half, steps % 2 == 0, -1 - steps, right, value, np.ones(length + 1))


def test_64_columns_on_a_path_are_explained_and_65_refused() -> None:
    rng = np.random.default_rng(4)
    trees = Trees((chain(64),), np.zeros(1), 64)
    X, Z = data(rng, 5, 64), data(rng, 7, 64)
    base, each = Interventional(trees, Z, np.arange(64), 64).contributions(X)
    np.testing.assert_allclose(base + each.sum(axis=1), trees.margin(X), atol=1e-9)
    with pytest.raises(UsageError, match="asks 65 columns on one path"):
        Hybrids([chain(65)], np.arange(65), 65)
    long = Trees((chain(300),), np.zeros(1), 300)
    assert not suited(list(long.trees), np.arange(300)).any()


def arrays_of(tree: Tree) -> dict[str, Any]:
    """What `leaves_of` gives the C extension, of one tree."""
    made = numbered([tree], np.arange(8))
    flat, count = made.flat, made.count
    return {
        "features": 8,
        "columns": 8,
        "branches": flat.branches.copy(),
        "feature": flat.feature.copy(),
        "threshold": flat.threshold.copy(),
        "missing_left": flat.missing_left.copy(),
        "left": flat.left.copy(),
        "right": flat.right.copy(),
        "bit": made.bit.copy(),
        "value": made.value.copy(),
        "players": count.astype(np.uint8),
        "width": count.astype(np.int32),
        "column": made.member[made.member >= 0].astype(np.int32),
        "table": np.zeros(int((count << count).sum())),
    }


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("branches", lambda a: a + 1),
        ("branches", lambda a: -a),
        ("feature", lambda a: a + 8),
        ("feature", lambda a: a - 9),
        ("left", lambda a: np.zeros_like(a)),
        ("left", lambda a: a + 1),
        ("right", lambda a: a * 0 + 10**6),
        ("right", lambda a: a * 0 - 10**6),
        ("bit", lambda a: a + 40),
        ("bit", lambda a: a + 100),
        ("players", lambda a: a * 0 + 63),
        ("players", lambda a: a * 0),
        ("width", lambda a: a + 1),
        ("width", lambda a: -a),
        ("column", lambda a: a + 8),
        ("column", lambda a: a[:-1]),
        ("table", lambda a: a[:-1]),
        ("value", lambda a: a.astype(np.float32)),
        ("threshold", lambda a: a.astype(np.float64)),
        ("threshold", lambda a: a[:, None]),
        ("features", lambda a: 0),
        ("columns", lambda a: -1),
    ],
)
def test_what_is_no_tree_is_refused(name: str, change: Callable[[Any], Any]) -> None:
    kind = leaves_type()
    assert kind is not None, "the C extension is not built"
    arrays = arrays_of(grown(np.random.default_rng(0), 4, 8))
    kind(**arrays)
    with pytest.raises((ValueError, TypeError)):
        kind(**{**arrays, name: change(arrays[name])})


def test_matrices_of_other_shapes_are_refused() -> None:
    tree = grown(np.random.default_rng(0), 4, 8)
    leaves = leaves_of(numbered([tree], np.arange(8)), 8, 8)
    X, out = np.zeros((3, 8), dtype=np.float32), np.zeros((3, 8))
    weight = np.ones((1, 3))
    leaves.against(X, X, weight, out)
    for bad in (
        (X[:, :7].copy(), X, weight, out),
        (X, X.astype(np.float64), weight, out),
        (X, X, np.ones((2, 3)), out),
        (X, X, np.ones((1, 2)), out),
        (X, X, weight, out[:2]),
        (X, X, weight, out.astype(np.float32)),
        (X, X, weight),
    ):
        with pytest.raises((ValueError, TypeError, BufferError)):
            leaves.against(*bad)
    with pytest.raises(ValueError, match="no tables"):
        leaves.add(X, out)
    with pytest.raises(ValueError, match="out must be"):
        leaves.sums(X, out)
    frozen = out.copy()
    frozen.flags.writeable = False
    with pytest.raises((ValueError, BufferError)):
        leaves.against(X, X, weight, frozen)
    leaves.against(X[:0], X, weight, out[:0])
    leaves.against(X, X[:0], weight[:, :0], out)
