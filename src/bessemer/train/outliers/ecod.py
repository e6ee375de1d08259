"""ECOD (Li, Zhao et al. 2022, "ECOD: Unsupervised Outlier Detection Using Empirical Cumulative Distribution
Functions"), from few quantiles, as trees."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from bessemer.core.spec import Spec
from bessemer.package.graph import GraphBuilder
from bessemer.package.trees.model import Tree, Trees
from bessemer.package.trees.onnx import to_onnx
from bessemer.package.trees.sums import TreeSums
from bessemer.train.outliers.method import Judge
from bessemer.train.outliers.steps import spread, steps


class EcodSettings(Spec):
    """Settings of `ecod`."""

    bins: int = Field(
        64,
        ge=4,
        le=1024,
        description="steps that the distribution of each feature is kept in, finest in its tails",
    )


class Ecod:
    """How improbable a row's values are, feature by feature.

    The score is the greatest of three sums over the features of -log of a tail's probability: of the left tails, of
    the right tails, and of the tail that is longer. The row itself counts as one of the training rows. A missing value
    counts by how rare missing values are in its feature. Features are taken one by one: rows that are odd in no value
    but only in how their values go together are not found.
    """

    Settings: ClassVar[type[Spec]] = EcodSettings

    def __init__(self, settings: EcodSettings) -> None:
        self._settings = settings

    def fit(self, X: np.ndarray, seed: int) -> Judge:
        found = tuple(_tree(X[:, i], i, self._settings.bins) for i in range(X.shape[1]))
        trees = Trees(found, np.zeros(3), X.shape[1])
        sums = TreeSums(trees)
        return Judge(_graph(trees), lambda rows: sums.sums(rows).max(axis=1))


def _graph(trees: Trees) -> object:
    g = GraphBuilder("ecod")
    x = g.input("features", "float32", ("N", trees.features))
    three = g.embed(to_onnx(trees), {"features": x}, "tails/")["score"]
    axis = g.constant(np.array([1], dtype=np.int64))
    g.output(g.op("ReduceMax", [three, axis], keepdims=1, name="score"), "float32", ("N", 1))
    return g.model()


def _tree(x: np.ndarray, feature: int, bins: int) -> Tree:
    """-log of the left, of the right and of the longer tail's probability, by one feature."""
    present = x[~np.isnan(x)].astype(np.float32)
    missing = np.full(3, -np.log((len(x) - len(present) + 1) / (len(x) + 1)))
    if not len(present):
        return steps(feature, np.zeros(0, dtype=np.float32), np.zeros((1, 3)), missing)
    thresholds, upto = _thresholds(present, bins)
    n = len(present)
    left = -np.log((np.append(upto, n) + 1) / (n + 1))
    right = -np.log((n - np.append(0, upto) + 1) / (n + 1))
    return steps(feature, thresholds, np.stack([left, right, _longer(present, left, right)], axis=1), missing)


def _thresholds(present: np.ndarray, bins: int) -> tuple[np.ndarray, np.ndarray]:
    """(K,) float32 values, the first below all, and (K,) how many of the rows are at or below each."""
    values, counts = np.unique(present, return_counts=True)
    upto = np.cumsum(counts)
    kept = np.union1d(spread(len(present) - upto, bins // 2), spread(upto - upto[0], bins // 2))
    below = np.nextafter(values[0], np.float32(-np.inf))
    return np.append(below, values[kept]).astype(np.float32), np.append(0, upto[kept])


def _longer(present: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """By the sign of the skewness."""
    x = present.astype(np.float64)
    return left if np.mean((x - x.mean()) ** 3) < 0 else right
