"""Gradient-boosted trees (Ke et al. 2017), the same bytes in every run, also after a kill.

Boosting goes in segments of `checkpoint` rounds. A segment starts from nothing but the margins of the trees
before it, with seeds of its own, so a run that goes on from a checkpoint does the arithmetic of one that was
never stopped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from bessemer.train.params import Param, Tune, resolved

if TYPE_CHECKING:
    from bessemer.train.learner import Callbacks, Part, Problem
    from bessemer.train.tree_model import TreeModel

_MANY_ROWS = 50_000
_OBJECTIVES = {"binary": "binary", "multiclass": "multiclass", "regression": "regression"}


class LightGBM:
    """LightGBM with defaults that depend on the number of rows; `params` has its own names for its settings."""

    NAME: ClassVar[str] = "lightgbm"
    MONOTONE: ClassVar[bool] = True
    QUANTILE: ClassVar[bool] = True
    PARAMS: ClassVar[Mapping[str, Param]] = {
        "learning_rate": Param(0.05, float, "step of a round", 1e-5, 1, tune=Tune(0.01, 0.2, log=True)),
        "num_leaves": Param(
            None,
            int,
            "most leaves of a tree; 63, or 31 below 50,000 rows",
            2,
            4096,
            tune=Tune(8, 256, log=True),
        ),
        "max_depth": Param(-1, int, "deepest tree; -1 for no limit", -1, 64),
        "min_data_in_leaf": Param(
            None,
            int,
            "fewest rows of a leaf; 100, or 20 below 50,000 rows",
            1,
            10**9,
            tune=Tune(2, 200, log=True),
        ),
        "min_sum_hessian_in_leaf": Param(1e-3, float, "least curvature in a leaf", 0, 1e9),
        "lambda_l1": Param(0.0, float, "L1 penalty on leaf values", 0, 1e9),
        "lambda_l2": Param(
            None,
            float,
            "L2 penalty on leaf values; 10, or 1 below 50,000 rows",
            0,
            1e9,
            tune=Tune(0.01, 100, log=True),
        ),
        "min_gain_to_split": Param(0.0, float, "least gain of a split", 0, 1e9),
        "path_smooth": Param(0.0, float, "pulls a leaf towards its parent", 0, 1e9),
        "feature_fraction": Param(
            None,
            float,
            "share of the features a tree may use; 0.5, or 0.8 below 50,000 rows",
            0.01,
            1,
            tune=Tune(0.3, 1),
        ),
        "feature_fraction_bynode": Param(1.0, float, "share of the features a split may use", 0.01, 1),
        "bagging_fraction": Param(0.7, float, "share of the rows a tree sees", 0.01, 1),
        "bagging_freq": Param(
            None,
            int,
            "draw the rows anew every so many rounds; 1, or 0 (no bagging) below 50,000 rows",
            0,
            10**6,
        ),
        "extra_trees": Param(
            False, bool, "try one random threshold a feature", tune=Tune(words=(False, True))
        ),
        "max_bin": Param(255, int, "bins a feature is cut into", 2, 65_535),
        "min_data_in_bin": Param(3, int, "fewest rows of a bin", 1, 10**6),
        "max_delta_step": Param(0.0, float, "largest leaf value; 0 for no limit", 0, 1e9),
        "objective": Param(
            None,
            str,
            "loss of a regression; `regression` (squared), or `regression_l1` where the metric is mae",
            choices=("regression", "regression_l1"),
        ),
    }

    def fit(
        self, problem: Problem, train: Part, valid: Part, params: Mapping[str, Any], callbacks: Callbacks
    ) -> TreeModel:
        chosen = _chosen(problem, len(train), params)
        if problem.reach is not None:
            from bessemer.train.certified.lightgbm import fit_lightgbm

            return fit_lightgbm(problem, train, valid, chosen, callbacks)
        from bessemer.train.learners.lightgbm_boost import Boosting, margins_of
        from bessemer.train.learners.lightgbm_trees import to_trees
        from bessemer.train.tree_model import TreeModel

        boosting = Boosting(problem, train, valid, chosen, callbacks)
        boosting.run()
        kept = max(1, boosting.best_step)
        model = boosting.model.head(kept)
        predict = margins_of(model.text(), callbacks.threads)
        return TreeModel(to_trees(model, train.X.shape[1]), predict, chosen, kept, boosting.curves)


def _chosen(problem: Problem, rows: int, params: Mapping[str, Any]) -> dict[str, Any]:
    """Every parameter with its value; those that depend on the data are decided here."""
    many = rows >= _MANY_ROWS
    by_data = {
        "num_leaves": 63 if many else 31,
        "min_data_in_leaf": 100 if many else 20,
        "lambda_l2": 10.0 if many else 1.0,
        "feature_fraction": 0.5 if many else 0.8,
        "bagging_freq": 1 if many else 0,
        "objective": _OBJECTIVES[problem.task],
    }
    if problem.metric.name in ("mae", "median_ae"):
        by_data["objective"] = "regression_l1"
    given = {name: value for name, value in params.items() if value is not None}
    if problem.task != "regression":
        given.pop("objective", None)
    if problem.quantile is not None:
        given["objective"] = "quantile"
    return resolved(LightGBM.PARAMS, {**by_data, **given})
