"""Learners of trees that are trained by what surely stands, every feature being a number of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from bessemer.package.trees.model import Tree
from bessemer.train.certified.reach import Reach
from bessemer.train.certified.settings import CertifiedSettings
from bessemer.train.learner import Callbacks, Part, Problem
from bessemer.train.learners.lightgbm import LightGBM
from bessemer.train.learners.xgboost import XGBoost

EPS = 0.2


def reach_in(X: np.ndarray, eps: float = EPS) -> Reach:
    """Every feature moves by so many of its spreads, as far as its values go."""
    finite = [column[np.isfinite(column)] for column in X.T]
    far = np.array([eps * one.std() if len(one) else 0.0 for one in finite])
    low, high = (np.array([end(one) if len(one) else 0.0 for one in finite]) for end in (np.min, np.max))
    ends = (low.astype(np.float32), high.astype(np.float32))
    no = np.zeros(X.shape[1], dtype=bool)
    return Reach(CertifiedSettings(eps=eps), far, far, *ends, gone=no, whole=no, loose=no)


class CertifiedLightGBM(LightGBM):
    """LightGBM against rows that move by EPS."""

    def fit(
        self, problem: Problem, train: Part, valid: Part, params: Mapping[str, Any], callbacks: Callbacks
    ) -> Any:
        return super().fit(against(problem, train), train, valid, params, callbacks)


class CertifiedXGBoost(XGBoost):
    """XGBoost against the same."""

    def fit(
        self, problem: Problem, train: Part, valid: Part, params: Mapping[str, Any], callbacks: Callbacks
    ) -> Any:
        return super().fit(against(problem, train), train, valid, params, callbacks)


def against(problem: Problem, train: Part) -> Problem:
    return problem if problem.reach is not None else replace(problem, reach=reach_in(np.asarray(train.X)))


def random_tree(rng: np.random.Generator, branches: int, features: int) -> Tree:
    """A tree whose leaves are split at random; each branch on a path cuts within what is left of its feature."""
    box = np.tile([[-2.0, 2.0]], (features, 1))
    left, right, feature, threshold = (list[Any]() for _ in range(4))
    open_: list[tuple[int, int, np.ndarray]] = []  # branch, side and what is left of each feature there
    for branch in range(branches):
        if branch:
            above, side, box = open_.pop(int(rng.integers(len(open_))))
            (left, right)[side][above] = branch
        f = int(rng.integers(features))
        cut = float(np.float32(rng.uniform(*box[f])))
        feature.append(f)
        threshold.append(cut)
        left.append(None)
        right.append(None)
        for side, ends in enumerate(((box[f, 0], cut), (cut, box[f, 1]))):
            inside = box.copy()
            inside[f] = ends
            open_.append((branch, side, inside))
    leaf = iter(range(branches + 1))
    sides = [
        np.array([-1 - next(leaf) if s is None else s for s in side], np.int32) for side in (left, right)
    ]
    value = rng.normal(size=(branches + 1, 1))
    return Tree(
        np.array(feature, dtype=np.int32),
        np.array(threshold, dtype=np.float32),
        rng.random(branches) < 0.5,
        *sides,
        value,
        np.ones(branches + 1),
    )
