"""Pairs of categories: which ones say more together than their two columns do apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.package.pair_levels import LevelPairs

if TYPE_CHECKING:
    from bessemer.train.learner import Part, Problem

#: Pairs that are added, at most; levels that a pair may have together; columns that are paired.
_MOST, _LEVELS, _COLUMNS = 8, 5000, 30
#: Rows of the overall mean that a pair's mean is blended with (Micci-Barreca 2001).
_SMOOTHING = 20.0
#: More means than this say more about noise than about the pair.
_CLASSES = 5
_FOLDS = 5


@dataclass(frozen=True)
class Category:
    """How the level of a categorical column is read off its features.

    columns: (C,) int64, and weights: (C,): the code of a row is `X[:, columns] @ weights + shift`, from 0 (unseen)
    to levels - 1.
    """

    columns: np.ndarray
    weights: np.ndarray
    shift: float
    levels: int

    def codes(self, X: np.ndarray) -> np.ndarray:
        """(N, F) -> (N,) int64."""
        found: np.ndarray = (X[:, self.columns] @ self.weights + self.shift).astype(np.int64)
        return found


def categories(features: Sequence[Mapping[str, Any]], X: np.ndarray) -> tuple[Category, ...]:
    """The categorical columns among the features, in order.

    Args:
        features: features.json of the preprocessor: name, group and kind of each.
        X: (N, F) the rows to learn from.
    """
    kinds: dict[str, dict[str, list[int]]] = {}
    for place, feature in enumerate(features):
        kinds.setdefault(feature["group"], {}).setdefault(feature["kind"], []).append(place)
    found = []
    for kind in kinds.values():
        if "rank" in kind:
            at = np.array(kind["rank"], dtype=np.int64)
            levels = int(np.max(X[:, at[0]], initial=-1)) + 2
            found.append(Category(at, np.ones(1, dtype=np.float32), 1.0, levels))
        elif "indicator" in kind:
            at = np.array(kind["indicator"], dtype=np.int64)
            if not np.isin(
                X[:, at].sum(axis=1), (0, 1)
            ).all():  # somebody else's encoding, of several levels at once
                continue
            found.append(Category(at, np.arange(1, len(at) + 1, dtype=np.float32), 0.0, len(at) + 1))
    return tuple(found[:_COLUMNS])


def fit_pairs(
    problem: Problem, part: Part, found: Sequence[Category], rng: np.random.Generator
) -> tuple[LevelPairs, np.ndarray] | None:
    """The pairs that say most beyond their columns, with their smoothed target means.

    Returns:
        The encoder, and (N, F + P * W) the features of `part` itself, in which each row's means come from the other
        folds' rows. None where no pair says anything.
    """
    if problem.classes > _CLASSES or len(found) < 2:
        return None
    target = targets(problem, part.y)
    weight = problem.row_weights(part)
    weight = np.ones(len(part)) if weight is None else weight / weight.mean()
    codes = [category.codes(part.X) for category in found]
    pairs = _best(found, codes, target, weight)
    if not pairs:
        return None
    encoder = _encoder(found, pairs)
    places = encoder.places(part.X)
    table = _means(places, target, weight, len(encoder.table))
    means = np.empty((*places.shape, target.shape[1]), dtype=np.float32)
    fold = rng.permutation(len(part)) % _FOLDS
    for number in range(_FOLDS):
        own = fold == number
        means[own] = _means(places[~own], target[~own], weight[~own], len(encoder.table))[places[own]]
    told = np.concatenate([part.X, means.reshape(len(part), -1)], axis=1)
    return replace(encoder, table=table.astype(np.float32)), told


def targets(problem: Problem, y: np.ndarray) -> np.ndarray:
    """(N, W): the number, or an indicator of each class but the first."""
    if problem.task == "regression":
        return np.asarray(y[:, None])
    return np.asarray(y[:, None] == np.arange(1, problem.classes), dtype=np.float64)


def _best(
    found: Sequence[Category], codes: Sequence[np.ndarray], target: np.ndarray, weight: np.ndarray
) -> list[tuple[int, int]]:
    """Pairs by the variance of their shrunk means that their columns' own means do not explain."""
    overall = np.average(target, axis=0, weights=weight)
    spread = np.average((target - overall) ** 2, axis=0, weights=weight)
    means = [
        _means(c[:, None], target, weight, category.levels) - overall
        for c, category in zip(codes, found, strict=True)
    ]
    worth: dict[tuple[int, int], float] = {}
    for a, b in combinations(range(len(found)), 2):
        wide = found[b].levels
        if found[a].levels * wide > _LEVELS:
            continue
        place = codes[a] * wide + codes[b]
        left = target - overall - means[a][codes[a]] - means[b][codes[b]]
        shrunk = shrunk_means(place, left, weight, found[a].levels * wide)
        worth[a, b] = float(
            np.average((shrunk[place] ** 2 / np.maximum(spread, 1e-300)).sum(axis=1), weights=weight)
        )
    ranked = sorted(worth, key=lambda pair: (-worth[pair], pair))
    return [pair for pair in ranked[:_MOST] if worth[pair] > 0]


def shrunk_means(place: np.ndarray, values: np.ndarray, weight: np.ndarray, size: int) -> np.ndarray:
    """(size, W) mean of the values at each place, drawn towards 0 where rows are few."""
    rows = np.bincount(place, weights=weight, minlength=size)
    columns = values.T * weight
    sums = np.stack([np.bincount(place, weights=column, minlength=size) for column in columns], axis=1)
    found: np.ndarray = sums / (rows + _SMOOTHING)[:, None]
    return found


def _means(places: np.ndarray, target: np.ndarray, weight: np.ndarray, size: int) -> np.ndarray:
    """(size, W) blended means of the target at each place; places: (N, P), no place in two columns."""
    overall = np.average(target, axis=0, weights=weight)
    found: np.ndarray = np.tile(overall, (size, 1))
    for column in places.T:
        found += shrunk_means(column, target - overall, weight, size)
    return found


def _encoder(found: Sequence[Category], pairs: Sequence[tuple[int, int]]) -> LevelPairs:
    """The encoder of these pairs, its table still empty."""
    used = sorted({c for pair in pairs for c in pair})
    columns = np.concatenate([found[c].columns for c in used])
    first = dict(zip(used, np.cumsum([0, *(len(found[c].columns) for c in used[:-1])]).tolist(), strict=True))
    codes = np.zeros((len(columns), len(pairs)), dtype=np.float32)
    start = np.zeros(len(pairs), dtype=np.float32)
    size = 0
    for pair, (a, b) in enumerate(pairs):
        wide = found[b].levels
        for category, times in ((a, wide), (b, 1)):
            rows = slice(first[category], first[category] + len(found[category].columns))
            codes[rows, pair] = found[category].weights * times
        start[pair] = size + found[a].shift * wide + found[b].shift
        size += found[a].levels * wide
    owners = np.array([[found[c].columns[0] for c in pair] for pair in pairs], dtype=np.int64)
    return LevelPairs(columns, codes, start, np.zeros((size, 1), dtype=np.float32), owners)


def with_features(problem: Problem, more: int) -> Problem:
    """The problem with so many more features at the end, which no constraint holds."""
    if problem.monotone is None:
        return problem
    return replace(problem, monotone=(*problem.monotone, *[0] * more))
