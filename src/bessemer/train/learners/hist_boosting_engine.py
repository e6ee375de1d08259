"""Scikit-learn's histogram trees as an engine of boosting.

Its estimators bin all rows anew at every warm start and cannot start from margins, so its grower of one tree and
its binning are used directly. Both are private: what they grow is compared with the estimators in the tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import sklearn

from bessemer.core.errors import EnvironmentFault
from bessemer.package.trees.model import Tree, Trees
from bessemer.package.trees.shapley import TreeShapley
from bessemer.train.learners.boosting import Boosting
from bessemer.train.learners.hist_boosting_loss import Loss, loss_of, renew_leaves
from bessemer.train.learners.sklearn_trees import of_nodes
from bessemer.train.tree_model import TreeModel

try:
    from sklearn.ensemble._hist_gradient_boosting.binning import _BinMapper
    from sklearn.ensemble._hist_gradient_boosting.grower import TreeGrower
except ImportError as error:
    raise EnvironmentFault(
        f"'hist_boosting' does not know scikit-learn {sklearn.__version__}",
        why=str(error),
        fix="pip install 'scikit-learn>=1.6,<1.10', or train with 'lightgbm'",
    ) from error

if TYPE_CHECKING:
    from bessemer.train.learner import Callbacks, Part, Problem

#: Values in the training matrix: below, handing work to threads costs more than it saves.
_WORTH_THREADS = 500_000
_BINNED_ROWS, _BLOCK = 200_000, 65_536
_HIGHEST = 3.4e38


def fit(
    problem: Problem, train: Part, valid: Part, params: Mapping[str, Any], callbacks: Callbacks
) -> TreeModel:
    """One fit, from the first round to the model."""
    parts = {"train": train, **({"valid": valid} if len(valid) else {})}
    loss = loss_of(problem, train.y, problem.row_weights(train))
    base = loss.base().astype(np.float32).astype(np.float64)
    engine = HistEngine(problem, parts, loss, params, callbacks)
    boosting = Boosting(engine, problem, parts, base, callbacks, "hist_boosting")
    trees, rounds = boosting.run()
    # not through scikit-learn: the trees of a fit that was killed on the way are gone
    predict = TreeShapley(trees, callbacks.threads).margin
    return TreeModel(trees, predict, dict(params), rounds, boosting.curves)


class HistEngine:
    """See `boosting.Engine`. The rows are binned once; margins are float64 within a segment."""

    def __init__(
        self,
        problem: Problem,
        parts: Mapping[str, Part],
        loss: Loss,
        params: Mapping[str, Any],
        callbacks: Callbacks,
    ) -> None:
        self._problem, self._loss, self._params, self._callbacks = problem, loss, params, callbacks
        train = parts["train"]
        self._features = train.X.shape[1]
        self._threads = callbacks.threads if train.X.size >= _WORTH_THREADS else 1
        self._mapper = _BinMapper(n_bins=params["max_bins"] + 1, subsample=None, n_threads=self._threads)
        self._mapper.fit(_sample(train.X, callbacks.seed("hist_boosting/bins")))
        self._binned = {name: _binned(self._mapper, part.X) for name, part in parts.items()}
        if "valid" in parts:  # trees are walked row by row there
            self._binned["valid"] = np.ascontiguousarray(self._binned["valid"])
        self._missing_bin = self._mapper.missing_values_bin_idx_
        self._has_missing = (self._binned["train"] == self._missing_bin).any(axis=0).astype(np.uint8)
        self._margins: dict[str, np.ndarray] = {}
        self._grown: list[Tree] = []
        self._rng = np.random.default_rng(0)

    def begin(self, segment: int, margins: dict[str, np.ndarray]) -> None:
        self._margins = {name: values.astype(np.float64) for name, values in margins.items()}
        self._grown = []
        self._rng = np.random.default_rng(self._callbacks.seed(f"hist_boosting/{segment}"))

    def step(self) -> bool:
        gradient, curvature = self._loss.gradients(self._margins["train"])
        growers = [
            self._grow(np.ascontiguousarray(gradient[:, k]), np.ascontiguousarray(curvature[:, k]))
            for k in range(self._problem.outputs)
        ]
        if all(grower.root.is_leaf for grower in growers):
            return False
        for k, grower in enumerate(growers):
            self._take(grower, k)
        return True

    def margins(self, part: str) -> np.ndarray:
        return self._margins[part].astype(np.float32)

    def trees(self, rounds: int) -> Trees:
        k = self._problem.outputs
        return Trees(tuple(self._grown[: rounds * k]), np.zeros(k), self._features)

    def _grow(self, gradient: np.ndarray, curvature: np.ndarray) -> Any:
        params = self._params
        grower = TreeGrower(
            X_binned=self._binned["train"],
            gradients=gradient,
            hessians=curvature,
            n_bins=params["max_bins"] + 1,
            n_bins_non_missing=self._mapper.n_bins_non_missing_,
            has_missing_values=self._has_missing,
            monotonic_cst=None if self._problem.monotone is None else np.array(self._problem.monotone),
            max_leaf_nodes=params["max_leaf_nodes"],
            max_depth=params["max_depth"] or None,
            min_samples_leaf=params["min_samples_leaf"],
            l2_regularization=params["l2_regularization"],
            feature_fraction_per_split=params["max_features"],
            rng=self._rng,
            shrinkage=params["learning_rate"],
            n_threads=self._threads,
        )
        grower.grow()
        return grower

    def _take(self, grower: Any, output: int) -> None:
        """Keep a tree, and add what it says to the margins."""
        margin = self._margins["train"][:, output]
        if self._loss.quantile is not None:
            renew_leaves(grower.root, self._loss, margin, self._problem.monotone)
            for leaf in grower.finalized_leaves:
                leaf.value *= self._params["learning_rate"]
        predictor = grower.make_predictor(binning_thresholds=self._mapper.bin_thresholds_)
        for leaf in grower.finalized_leaves:
            margin[leaf.sample_indices] += leaf.value
        if "valid" in self._margins:
            said = predictor.predict_binned(self._binned["valid"], self._missing_bin, self._threads)
            self._margins["valid"][:, output] += said
        self._grown.append(of_nodes(predictor.nodes, output))


def _sample(X: np.ndarray, seed: int) -> np.ndarray:
    """The rows to choose bins by, as float64; a feature without any value in them is 0, and gets one bin."""
    if len(X) > _BINNED_ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(len(X), _BINNED_ROWS, replace=False))
        X = X[rows]
    wide = _wide(X)
    wide[:, np.isnan(wide).all(axis=0)] = 0
    return wide


def _binned(mapper: Any, X: np.ndarray) -> np.ndarray:
    """The bins (N, F) uint8 in Fortran order, block by block: float64 is eight times as large."""
    found = np.empty(X.shape, dtype=np.uint8, order="F")
    for i in range(0, len(X), _BLOCK):
        found[i : i + _BLOCK] = mapper.transform(_wide(X[i : i + _BLOCK]))
    return found


def _wide(X: np.ndarray) -> np.ndarray:
    """Float64, which the binning takes, without infinity, which it refuses."""
    wide: np.ndarray = np.clip(X.astype(np.float64), -_HIGHEST, _HIGHEST)
    return wide
