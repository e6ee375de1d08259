"""Isolation forest (Liu, Ting and Zhou 2008, "Isolation Forest"), scikit-learn's, in the neutral form of trees."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from bessemer.core.spec import Spec
from bessemer.package.trees.model import Tree, Trees
from bessemer.package.trees.onnx import to_onnx
from bessemer.train.learners.sklearn_trees import of_tree
from bessemer.train.outliers.method import Judge


class ForestSettings(Spec):
    """Settings of `isolation_forest`; the defaults are those of the paper."""

    trees: int = Field(100, ge=1, le=1000, description="how many trees")
    samples: int = Field(256, ge=2, le=65_536, description="rows that each tree is grown on")


class IsolationForest:
    """How few random cuts part a row from others.

    The score is log2 of the paper's, -E[h(x)] / c(samples): -1 where a row is parted as late as is usual, nearer to 0
    the sooner. A missing value goes where the random cut sent those of its training rows, as in scikit-learn; where a
    tree saw none, with the greater part.
    """

    Settings: ClassVar[type[Spec]] = ForestSettings

    def __init__(self, settings: ForestSettings) -> None:
        self._settings = settings

    def fit(self, X: np.ndarray, seed: int) -> Judge:
        from sklearn.ensemble import IsolationForest as Forest

        samples = min(self._settings.samples, len(X))
        forest = Forest(n_estimators=self._settings.trees, max_samples=samples, random_state=seed).fit(X)
        return Judge(
            to_onnx(_trees(forest, samples, X.shape[1])), lambda rows: np.log2(-forest.score_samples(rows))
        )


def _trees(forest: Any, samples: int, features: int) -> Trees:
    """The forest as a sum.

    What is usual stands in the base: float32 sums of small differences are exact, of path lengths they are not.
    """
    usual = float(average_path(np.array([samples]))[0])
    scale = -1.0 / (len(forest.estimators_) * usual)
    trees = [_tree(estimator.tree_, usual, scale) for estimator in forest.estimators_]
    return Trees(tuple(trees), np.array([-1.0]), features)


def _tree(grown: Any, usual: float, scale: float) -> Tree:
    length = grown.compute_node_depths() - 1.0 + average_path(grown.n_node_samples)
    return of_tree(grown, ((length - usual) * scale)[:, None])[0]


def average_path(rows: np.ndarray) -> np.ndarray:
    """c(n), (N,) float64: how deep a search that fails ends in a binary search tree of n rows (the paper's equation 1).

    >>> average_path(np.array([1, 2, 256])).round(2).tolist()
    [0.0, 1.0, 10.24]
    """
    n = np.maximum(np.asarray(rows, dtype=np.float64), 2.0)
    found = 2.0 * (np.log(n - 1.0) + np.euler_gamma) - 2.0 * (n - 1.0) / n
    found = np.where(np.asarray(rows) == 2, 1.0, found)
    return np.where(np.asarray(rows) < 2, 0.0, found)
