"""Scikit-learn's histogram gradient boosting (Ke et al. 2017), the same bytes in every run, also after a kill."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from bessemer.train.params import Param, Tune

if TYPE_CHECKING:
    from bessemer.train.learner import Callbacks, Part, Problem
    from bessemer.train.tree_model import TreeModel


class HistBoosting:
    """The trees of `HistGradientBoosting*` on numeric features; `params` has its names for its settings."""

    NAME: ClassVar[str] = "hist_boosting"
    MONOTONE: ClassVar[bool] = True
    QUANTILE: ClassVar[bool] = True
    PARAMS: ClassVar[Mapping[str, Param]] = {
        "learning_rate": Param(0.05, float, "step of a round", 1e-5, 1, tune=Tune(0.01, 0.2, log=True)),
        "max_leaf_nodes": Param(31, int, "most leaves of a tree", 2, 4096, tune=Tune(8, 256, log=True)),
        "max_depth": Param(0, int, "deepest tree; 0 for no limit", 0, 64),
        "min_samples_leaf": Param(20, int, "fewest rows of a leaf", 1, 10**9, tune=Tune(2, 200, log=True)),
        "l2_regularization": Param(
            1.0, float, "L2 penalty on leaf values", 0, 1e9, tune=Tune(0.01, 100, log=True)
        ),
        "max_features": Param(
            1.0, float, "share of the features a split may use", 0.01, 1, tune=Tune(0.3, 1)
        ),
        "max_bins": Param(255, int, "bins a feature is cut into", 2, 255),
    }

    def fit(
        self, problem: Problem, train: Part, valid: Part, params: Mapping[str, Any], callbacks: Callbacks
    ) -> TreeModel:
        """Learn from `train`, stop by `valid`.

        Raises:
            EnvironmentFault: the installed scikit-learn grows its trees in a way that is not known here.
        """
        from bessemer.train.learners.hist_boosting_engine import fit

        return fit(problem, train, valid, params, callbacks)
