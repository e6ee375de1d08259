"""The explainable boosting machine, the same bytes in every run, also after a kill."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from bessemer.train.params import Param, Tune

if TYPE_CHECKING:
    from bessemer.train.learner import Callbacks, Part, Problem
    from bessemer.train.tree_model import TreeModel


class EBM:
    """A sum of one curve a feature and one surface for each of a few pairs (Lou et al. 2012, 2013; Nori et al. 2019).

    interpret-core learns it; `params` has its names where it has the setting.
    """

    NAME: ClassVar[str] = "ebm"
    MONOTONE: ClassVar[bool] = True
    QUANTILE: ClassVar[bool] = False
    PARAMS: ClassVar[Mapping[str, Param]] = {
        "outer_bags": Param(
            8, int, "models that are averaged, each stopped by 15 % of the rows of its own", 1, 1000
        ),
        "learning_rate": Param(
            None,
            float,
            "how much of each step counts; 0.04 for classes, 0.08 for numbers",
            1e-5,
            1,
            tune=Tune(0.01, 0.2, log=True),
        ),
        "interactions": Param(
            None,
            int,
            "pairs of features; three for each feature and at most 30 for classes, five and 40 for numbers; "
            "none for more than two classes",
            0,
            1000,
            tune=Tune(0, 60),
        ),
        "max_bins": Param(
            None,
            int,
            "most values a curve has; 1024, and 256 with more than 100 features",
            2,
            32_767,
            tune=Tune(128, 2048, log=True),
        ),
        "max_interaction_bins": Param(
            32, int, "most values a surface has along each side", 2, 256, tune=Tune(8, 64, log=True)
        ),
        "max_leaves": Param(2, int, "most leaves of one step", 2, 100, tune=Tune(2, 4)),
        "min_samples_leaf": Param(4, int, "fewest rows of a leaf", 1, 10**9, tune=Tune(2, 50, log=True)),
        "max_rounds": Param(
            20_000, int, "most steps for each curve; a validated metric ends it long before", 1, 1_000_000
        ),
    }

    def fit(
        self, problem: Problem, train: Part, valid: Part, params: Mapping[str, Any], callbacks: Callbacks
    ) -> TreeModel:
        """Learn from `train`, add bags until `valid` shows no gain.

        Raises:
            DataError: interpret refuses the data.
        """
        from bessemer.train.learners.ebm_bags import fit

        return fit(problem, train, valid, params, callbacks)
