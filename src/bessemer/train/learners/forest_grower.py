"""One tree of a forest: the rows it sees, scikit-learn's estimator, and what its leaves say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn import tree as sklearn_tree

from bessemer.stats.calibration import softmax
from bessemer.train.learners.constant import prior
from bessemer.train.learners.sklearn_trees import of_tree

if TYPE_CHECKING:
    from bessemer.package.trees.model import Tree
    from bessemer.train.learner import Callbacks, Part, Problem

#: Scikit-learn refuses infinity; no threshold lies beyond these.
_LOWEST, _HIGHEST = np.float32(-3.4e38), np.float32(3.4e38)


@dataclass(frozen=True)
class Kind:
    """Which forest.

    bootstrap: trees with the best thresholds on bootstrap samples; otherwise trees with random thresholds on all
        rows.
    """

    name: str
    bootstrap: bool


class Grower:
    """Grows tree number i of a forest, in any thread."""

    def __init__(
        self, kind: Kind, problem: Problem, train: Part, params: Mapping[str, Any], callbacks: Callbacks
    ) -> None:
        self._kind, self._problem, self._params, self._callbacks = kind, problem, params, callbacks
        self.name, self.rows = kind.name, len(train)
        self._X, self._y = self.filled(train.X), train.y
        if not kind.bootstrap and len(train) <= params["max_samples"] and not self._X.flags.writeable:
            # every tree gets all rows as they stand, and scikit-learn takes no read-only ones that have NaN
            self._X = np.array(self._X)
        weight = problem.row_weights(train)
        self._weight = None if weight is None else weight / weight.mean()
        base = prior(problem, train.y, weight)
        self.base = base if problem.task == "regression" else np.zeros(problem.outputs)
        self._shares = _shares(problem, base)

    def filled(self, X: np.ndarray) -> np.ndarray:
        """Without infinity; under constraints, where scikit-learn takes no missing value, NaN is the lowest."""
        if self._problem.monotone is None and not np.isinf(X).any():
            return np.asarray(X)
        missing = np.float32(np.nan) if self._problem.monotone is None else _LOWEST
        clipped: np.ndarray = np.clip(X, _LOWEST, _HIGHEST)
        clipped[np.isnan(clipped)] = missing
        return clipped

    def grow(self, number: int) -> tuple[Any, Tree, np.ndarray]:
        """Scikit-learn's structure, the tree with unscaled values, and the leaf of each node."""
        estimator = self.fitted(number)
        tree, leaf = of_tree(estimator.tree_, self._values(estimator))
        if self._problem.monotone is not None:
            tree = replace(tree, missing_left=np.ones(tree.branches, dtype=bool))
        return estimator.tree_, tree, leaf

    def fitted(self, number: int) -> Any:
        """Scikit-learn's estimator of one tree."""
        seed = self._callbacks.seed(f"{self.name}/{number}")
        rows, weight = self._drawn(np.random.default_rng(seed))
        estimator = self._estimator(seed)
        with np.errstate(over="ignore"):  # scikit-learn looks for NaN in a float32 sum, which may overflow
            estimator.fit(self._X[rows], self._y[rows], sample_weight=weight)
        return estimator

    def _drawn(self, rng: np.random.Generator) -> tuple[Any, np.ndarray | None]:
        """The rows of a tree, in their order, and what each counts."""
        n, weight = len(self._y), self._weight
        most = min(n, self._params["max_samples"])
        if self._kind.bootstrap:
            times = np.bincount(rng.integers(0, n, most), minlength=n)
            rows = np.flatnonzero(times)
            return rows, times[rows] * (1.0 if weight is None else weight[rows])
        if most == n:
            return slice(None), weight
        rows = np.sort(rng.choice(n, most, replace=False))
        return rows, None if weight is None else weight[rows]

    def _estimator(self, seed: int) -> Any:
        numbers = self._problem.task == "regression"
        best = sklearn_tree.DecisionTreeRegressor if numbers else sklearn_tree.DecisionTreeClassifier
        random = sklearn_tree.ExtraTreeRegressor if numbers else sklearn_tree.ExtraTreeClassifier
        params = self._params
        return (best if self._kind.bootstrap else random)(
            criterion="squared_error" if numbers else params["criterion"],
            max_depth=params["max_depth"] or None,
            max_leaf_nodes=params["max_leaf_nodes"],
            min_samples_leaf=params["min_samples_leaf"],
            max_features=max(1, round(params["max_features"] * self._X.shape[1])),
            monotonic_cst=self._problem.monotone,
            random_state=seed,
        )

    def _values(self, estimator: Any) -> np.ndarray:
        """(nodes, W): the distance to the mean, or the smoothed share of the positive or of each class."""
        grown = estimator.tree_
        value: np.ndarray = np.asarray(grown.value[:, 0, :], dtype=np.float64)
        if self._problem.task == "regression":
            value -= self.base
            return value
        share: np.ndarray = np.zeros((len(value), self._problem.classes))
        share[:, estimator.classes_.astype(np.int64)] = value
        added = self._params["smoothing"]
        weight = grown.weighted_n_node_samples[:, None]
        share = (share * weight + added * self._shares) / (weight + added)
        return share[:, 1:] if self._problem.task == "binary" else share


def _shares(problem: Problem, base: np.ndarray) -> np.ndarray:
    """The classes' shares (K,) of a prior's margins; nothing for a regression."""
    if problem.task == "regression":
        return np.zeros(0)
    margin: np.ndarray = np.append(0.0, base) if problem.task == "binary" else base
    shares: np.ndarray = softmax(margin[None, :])[0]
    return shares
