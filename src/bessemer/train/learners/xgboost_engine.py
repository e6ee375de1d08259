"""XGBoost as an engine of boosting: matrices made once, a booster a segment, its trees in the neutral form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xgboost

from bessemer.core.errors import DataError
from bessemer.package.trees.model import Trees
from bessemer.package.trees.shapley import TreeShapley
from bessemer.train.learners.boosting import Boosting
from bessemer.train.learners.constant import prior
from bessemer.train.learners.xgboost_trees import to_tree
from bessemer.train.openmp import worth_threads
from bessemer.train.tree_model import TreeModel

if TYPE_CHECKING:
    from bessemer.train.learner import Callbacks, Part, Problem

_OBJECTIVES = {"binary": "binary:logistic", "multiclass": "multi:softprob", "regression": "reg:squarederror"}
_FLOAT_MAX = np.float32(3.4e38)


def fit(
    problem: Problem, train: Part, valid: Part, params: Mapping[str, Any], callbacks: Callbacks
) -> TreeModel:
    """One fit, from the first round to the model."""
    parts = {"train": train, **({"valid": valid} if len(valid) else {})}
    base = prior(problem, train.y, problem.row_weights(train)).astype(np.float32).astype(np.float64)
    try:
        engine = XGBoostEngine(problem, parts, params, callbacks)
        boosting = Boosting(engine, problem, parts, base, callbacks, "xgboost")
        trees, rounds = boosting.run()
    except xgboost.core.XGBoostError as error:
        raise DataError("XGBoost could not train on this data", why=str(error).splitlines()[0]) from error
    # not through XGBoost: the boosters of a fit that was killed on the way are gone, and its sums with them
    predict = TreeShapley(trees, callbacks.threads).margin
    return TreeModel(trees, predict, dict(params), rounds, boosting.curves)


class XGBoostEngine:
    """See `boosting.Engine`. The first booster of a segment gets its start as base margins, never a base score."""

    def __init__(
        self, problem: Problem, parts: Mapping[str, Part], params: Mapping[str, Any], callbacks: Callbacks
    ) -> None:
        self._problem, self._callbacks, self._features = problem, callbacks, parts["train"].X.shape[1]
        threads = callbacks.threads if worth_threads(parts["train"].X) else 1
        self._params = {**params, **_objective(problem), "nthread": threads, "verbosity": 0}
        self._params |= {"tree_method": "hist", "base_score": 0.5 if problem.task == "binary" else 0.0}
        if problem.monotone is not None:
            self._params["monotone_constraints"] = f"({','.join(map(str, problem.monotone))})"
        self._matrices: dict[str, Any] = {}
        for name, part in parts.items():
            reference = {"ref": self._matrices["train"]} if name != "train" else {}
            self._matrices[name] = xgboost.QuantileDMatrix(
                finite(part.X),
                part.y,
                weight=problem.row_weights(part),
                nthread=threads,
                max_bin=params["max_bin"],
                **reference,
            )
        self._booster: Any = None
        self._round = 0

    def begin(self, segment: int, margins: dict[str, np.ndarray]) -> None:
        for name, matrix in self._matrices.items():
            matrix.set_base_margin(margins[name])
        seed = self._callbacks.seed(f"xgboost/{segment}")
        self._booster = xgboost.Booster({**self._params, "seed": seed}, list(self._matrices.values()))
        self._round = 0

    def step(self) -> bool:
        self._booster.update(self._matrices["train"], self._round)
        self._round += 1
        return True

    def margins(self, part: str) -> np.ndarray:
        found = self._booster.predict(self._matrices[part], output_margin=True)
        return np.asarray(found, dtype=np.float32).reshape(-1, self._problem.outputs)

    def trees(self, rounds: int) -> Trees:
        saved = json.loads(self._booster.save_raw("json"))
        trees = saved["learner"]["gradient_booster"]["model"]["trees"]
        k = self._problem.outputs
        made = tuple(to_tree(tree, i % k) for i, tree in enumerate(trees[: rounds * k]))
        return Trees(made, np.zeros(k), self._features)


def _objective(problem: Problem) -> dict[str, Any]:
    if problem.quantile is not None:
        return {"objective": "reg:quantileerror", "quantile_alpha": problem.quantile}
    if problem.metric.name in ("mae", "median_ae"):
        return {"objective": "reg:absoluteerror"}
    found: dict[str, Any] = {"objective": _OBJECTIVES[problem.task]}
    return {**found, "num_class": problem.classes} if problem.task == "multiclass" else found


def finite(X: np.ndarray) -> np.ndarray:
    """XGBoost refuses infinity; beyond every threshold there is nothing to tell it from the largest float32."""
    return np.clip(X, -_FLOAT_MAX, _FLOAT_MAX) if np.isinf(X).any() else X
