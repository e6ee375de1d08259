"""XGBoost as a grower of single trees."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xgboost

from bessemer.core.errors import DataError
from bessemer.package.trees.model import Tree
from bessemer.train.certified.engine import fit
from bessemer.train.certified.reach import Floats, Floats32
from bessemer.train.learners.xgboost_engine import finite
from bessemer.train.learners.xgboost_trees import to_tree
from bessemer.train.openmp import worth_threads

if TYPE_CHECKING:
    from bessemer.train.learner import Callbacks, Part, Problem
    from bessemer.train.tree_model import TreeModel


class XGBoostGrower:
    """See `engine.Grower`."""

    def __init__(self, problem: Problem, params: Mapping[str, Any], threads: int) -> None:
        self.penalty, self.rate = float(params["reg_lambda"]), float(params["learning_rate"])
        self._params = {**params, "learning_rate": 1.0, "nthread": threads, "verbosity": 0}
        self._params |= {"tree_method": "hist", "base_score": 0.0}
        if problem.monotone is not None:
            self._params["monotone_constraints"] = f"({','.join(map(str, problem.monotone))})"

    def grow(self, X: Floats32, slope: Floats, curve: Floats, seed: int) -> Tree:
        params = {**self._params, "seed": seed}
        try:
            data = xgboost.QuantileDMatrix(
                finite(X), np.zeros(len(X)), nthread=params["nthread"], max_bin=params["max_bin"]
            )
            booster = xgboost.Booster(params, [data])
            booster.boost(data, 0, grad=slope, hess=curve)
        except xgboost.core.XGBoostError as error:
            raise DataError("XGBoost could not train on this data", why=str(error).splitlines()[0]) from error
        saved = json.loads(booster.save_raw("json"))["learner"]["gradient_booster"]["model"]["trees"]
        return to_tree(saved[0], 0)


def fit_xgboost(
    problem: Problem, train: Part, valid: Part, params: Mapping[str, Any], callbacks: Callbacks
) -> TreeModel:
    """Certified boosting of trees that XGBoost grows."""
    grower = XGBoostGrower(problem, params, callbacks.threads if worth_threads(train.X) else 1)
    return fit(grower, problem, train, valid, params, callbacks, "xgboost")
