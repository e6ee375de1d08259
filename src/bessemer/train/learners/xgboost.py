"""XGBoost (Chen and Guestrin 2016), the same bytes in every run, also after a kill."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from bessemer.train.params import Param, Tune

if TYPE_CHECKING:
    from bessemer.train.learner import Callbacks, Part, Problem
    from bessemer.train.tree_model import TreeModel


class XGBoost:
    """XGBoost's histogram trees; `params` has its own names for its settings."""

    NAME: ClassVar[str] = "xgboost"
    MONOTONE: ClassVar[bool] = True
    QUANTILE: ClassVar[bool] = True
    PARAMS: ClassVar[Mapping[str, Param]] = {
        "learning_rate": Param(0.05, float, "step of a round", 1e-5, 1, tune=Tune(0.01, 0.2, log=True)),
        "max_depth": Param(6, int, "deepest tree; 0 for no limit", 0, 64, tune=Tune(3, 10)),
        "max_leaves": Param(0, int, "most leaves of a tree; 0 for no limit", 0, 4096),
        "grow_policy": Param(
            "depthwise", str, "which leaf is split next", choices=("depthwise", "lossguide")
        ),
        "min_child_weight": Param(
            1.0, float, "least curvature in a leaf", 0, 1e9, tune=Tune(0.1, 100, log=True)
        ),
        "gamma": Param(0.0, float, "least gain of a split", 0, 1e9),
        "reg_alpha": Param(0.0, float, "L1 penalty on leaf values", 0, 1e9),
        "reg_lambda": Param(1.0, float, "L2 penalty on leaf values", 0, 1e9, tune=Tune(0.01, 100, log=True)),
        "subsample": Param(0.8, float, "share of the rows a tree sees", 0.01, 1, tune=Tune(0.5, 1)),
        "colsample_bytree": Param(
            0.8, float, "share of the features a tree may use", 0.01, 1, tune=Tune(0.3, 1)
        ),
        "colsample_bynode": Param(1.0, float, "share of the features a split may use", 0.01, 1),
        "max_bin": Param(256, int, "bins a feature is cut into", 2, 65_535),
        "max_delta_step": Param(0.0, float, "largest leaf value; 0 for no limit", 0, 1e9),
    }

    def fit(
        self, problem: Problem, train: Part, valid: Part, params: Mapping[str, Any], callbacks: Callbacks
    ) -> TreeModel:
        """Learn from `train`, stop by `valid`.

        Raises:
            DataError: XGBoost refuses the data.
        """
        if problem.reach is not None:
            from bessemer.train.certified.xgboost import fit_xgboost

            return fit_xgboost(problem, train, valid, params, callbacks)
        from bessemer.train.learners.xgboost_engine import fit

        return fit(problem, train, valid, params, callbacks)
