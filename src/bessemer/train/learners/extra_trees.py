"""Extremely randomised trees (Geurts, Ernst and Wehenkel 2006), the same bytes in every run, also after a kill."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from bessemer.train.params import Param, Tune

if TYPE_CHECKING:
    from bessemer.train.learner import Callbacks, Part, Problem
    from bessemer.train.tree_model import TreeModel


class ExtraTrees:
    """Scikit-learn's trees with one random threshold a feature; `params` has its names where it has the setting."""

    NAME: ClassVar[str] = "extra_trees"
    MONOTONE: ClassVar[bool] = True
    QUANTILE: ClassVar[bool] = False
    PARAMS: ClassVar[Mapping[str, Param]] = {
        "n_estimators": Param(200, int, "most trees", 1, 10_000),
        "max_leaf_nodes": Param(
            None,
            int,
            "most leaves of a tree; 512 for classes, 1024 for numbers",
            2,
            65_536,
            tune=Tune(64, 4096, log=True),
        ),
        "max_depth": Param(0, int, "deepest tree; 0 for no limit", 0, 64),
        "min_samples_leaf": Param(
            None,
            int,
            "fewest rows of a leaf; 3 for classes, 1 for numbers",
            1,
            10**9,
            tune=Tune(1, 50, log=True),
        ),
        "max_features": Param(
            None,
            float,
            "share of the features a split may use; half of them for classes, all for numbers",
            0.001,
            1,
            tune=Tune(0.1, 1),
        ),
        "max_samples": Param(
            100_000, int, "most rows a tree sees; drawn without replacement where there are more", 10, 10**9
        ),
        "criterion": Param(
            "gini",
            str,
            "what a split of classes makes less; numbers are split by squared error",
            choices=("gini", "entropy"),
            tune=Tune(words=("gini", "entropy")),
        ),
        "smoothing": Param(
            1.0,
            float,
            "rows with the shares of all training rows that are added to each leaf of classes; 0 under constraints",
            0,
            1e6,
        ),
    }

    def fit(
        self, problem: Problem, train: Part, valid: Part, params: Mapping[str, Any], callbacks: Callbacks
    ) -> TreeModel:
        """Grow trees on `train`, stop by `valid`.

        Raises:
            DataError: scikit-learn refuses the data.
        """
        from bessemer.train.learners.forest import fit
        from bessemer.train.learners.forest_grower import Kind

        return fit(Kind(self.NAME, bootstrap=False), problem, train, valid, params, callbacks)
