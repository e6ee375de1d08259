"""CatBoost (Prokhorenkova et al. 2018) on numeric features, the same bytes in every run, also after a kill."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from bessemer.train.params import Param, Tune

if TYPE_CHECKING:
    from bessemer.train.learner import Callbacks, Part, Problem
    from bessemer.train.tree_model import TreeModel


class CatBoost:
    """Symmetric trees, which rarely need tuning; `params` has CatBoost's own names for its settings."""

    NAME: ClassVar[str] = "catboost"
    MONOTONE: ClassVar[bool] = True
    QUANTILE: ClassVar[bool] = True
    PARAMS: ClassVar[Mapping[str, Param]] = {
        "learning_rate": Param(
            None,
            float,
            "step of a round; by task and rows, from 0.03 to 0.2",
            1e-5,
            1,
            tune=Tune(0.02, 0.3, log=True),
        ),
        "depth": Param(6, int, "deepest tree", 1, 16, tune=Tune(4, 8)),
        "grow_policy": Param(
            "SymmetricTree",
            str,
            "which leaf is split next",
            choices=("SymmetricTree", "Depthwise", "Lossguide"),
        ),
        "l2_leaf_reg": Param(3.0, float, "L2 penalty on leaf values", 0, 1e9, tune=Tune(0.5, 30, log=True)),
        "random_strength": Param(
            1.0, float, "noise in the scores of splits", 0, 1e6, tune=Tune(0.1, 10, log=True)
        ),
        "bagging_temperature": Param(
            None, float, "how unevenly rows are weighted by chance; none for sampling of rows", 0, 1e3
        ),
        "rsm": Param(1.0, float, "share of the features a split may use", 0.01, 1, tune=Tune(0.4, 1)),
        "min_data_in_leaf": Param(1, int, "fewest rows of a leaf; not of symmetric trees", 1, 10**9),
        "border_count": Param(254, int, "bins a feature is cut into", 1, 65_535),
    }

    def fit(
        self, problem: Problem, train: Part, valid: Part, params: Mapping[str, Any], callbacks: Callbacks
    ) -> TreeModel:
        """Learn from `train`, stop by `valid`.

        Raises:
            DataError: CatBoost refuses the data.
        """
        from bessemer.train.learners.catboost_boost import fit

        return fit(problem, train, valid, params, callbacks)
