"""Extremely randomised trees (Geurts, Ernst and Wehenkel 2006), the same bytes in every run, also after a kill."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from bessemer.train.learners.forest_params import forest_params
from bessemer.train.params import Param, Tune

if TYPE_CHECKING:
    from bessemer.train.learner import Callbacks, Part, Problem
    from bessemer.train.tree_model import TreeModel


class ExtraTrees:
    """Scikit-learn's trees with one random threshold a feature; `params` has its names where it has the setting."""

    NAME: ClassVar[str] = "extra_trees"
    MONOTONE: ClassVar[bool] = True
    QUANTILE: ClassVar[bool] = False
    PARAMS: ClassVar[Mapping[str, Param]] = forest_params(
        max_features=Param(
            None,
            float,
            "share of the features a split may use; half of them for classes, all for numbers",
            0.001,
            1,
            tune=Tune(0.1, 1),
        ),
        max_samples=Param(
            100_000, int, "most rows a tree sees; drawn without replacement where there are more", 10, 10**9
        ),
    )

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
