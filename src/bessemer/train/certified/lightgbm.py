"""LightGBM as a grower of single trees."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import lightgbm
import numpy as np

from bessemer.core.errors import DataError
from bessemer.package.trees.model import Tree
from bessemer.train.certified.engine import CONSTANT, COPIES, fit
from bessemer.train.certified.reach import Floats, Floats32
from bessemer.train.learners.lightgbm_text import parse
from bessemer.train.learners.lightgbm_trees import to_trees
from bessemer.train.openmp import worth_threads

if TYPE_CHECKING:
    from bessemer.train.learner import Callbacks, Part, Problem
    from bessemer.train.tree_model import TreeModel

_SEEDS = ("bagging_seed", "feature_fraction_seed", "extra_seed", "data_random_seed")


class LightGBMGrower:
    """See `engine.Grower`. Bins are cut anew from the rows of each round."""

    def __init__(self, problem: Problem, params: Mapping[str, Any], threads: int) -> None:
        self.penalty, self.rate = float(params["lambda_l2"]), float(params["learning_rate"])
        self._params = {
            **params,
            "objective": "none",
            "metric": "None",
            "verbosity": -1,
            "learning_rate": 1.0,
        }
        self._params |= {"deterministic": True, "force_col_wise": True, "num_threads": threads}
        self._params["feature_pre_filter"] = False
        self._params["min_data_in_leaf"] = COPIES * params["min_data_in_leaf"]
        if problem.monotone is not None:
            self._params["monotone_constraints"] = list(problem.monotone)

    def grow(self, X: Floats32, slope: Floats, curve: Floats, seed: int) -> Tree:
        params = {**self._params, **dict.fromkeys(_SEEDS, seed)}
        try:
            data = lightgbm.Dataset(X, np.zeros(len(X)), params=params).construct()
            if not any(data.feature_num_bin(f) > 1 for f in range(X.shape[1])):
                return CONSTANT  # LightGBM fails where nothing can be split
            booster = lightgbm.Booster(params, data)
            booster.update(fobj=lambda margin, data: (slope, curve))
        except lightgbm.basic.LightGBMError as error:
            raise DataError("LightGBM could not train on this data", why=str(error)) from error
        trees = to_trees(parse(booster.model_to_string()), X.shape[1]).trees
        return trees[0] if trees else CONSTANT


def fit_lightgbm(
    problem: Problem, train: Part, valid: Part, params: Mapping[str, Any], callbacks: Callbacks
) -> TreeModel:
    """Certified boosting of trees that LightGBM grows."""
    grower = LightGBMGrower(problem, params, callbacks.threads if worth_threads(train.X) else 1)
    return fit(grower, problem, train, valid, params, callbacks, "lightgbm")
