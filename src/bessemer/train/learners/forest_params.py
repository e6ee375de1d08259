"""The table of parameters of both forests."""

from __future__ import annotations

from collections.abc import Mapping

from bessemer.train.params import Param, Tune


def forest_params(max_features: Param, max_samples: Param) -> Mapping[str, Param]:
    """The table of a forest; how features and rows are drawn is what forests differ in."""
    return {
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
        "max_features": max_features,
        "max_samples": max_samples,
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
