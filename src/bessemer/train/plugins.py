"""The table of learners."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bessemer.core.plugins import PluginRef, PluginTable

if TYPE_CHECKING:
    from bessemer.train.learner import Learner

LEARNERS: PluginTable[Learner] = PluginTable(
    "bessemer.learners",
    {
        "lightgbm": PluginRef(
            "bessemer.train.learners.lightgbm:LightGBM",
            requires=("lightgbm",),
            summary="gradient-boosted trees, LightGBM's",
        ),
        "xgboost": PluginRef(
            "bessemer.train.learners.xgboost:XGBoost",
            extra="xgboost",
            requires=("xgboost",),
            summary="gradient-boosted trees, XGBoost's",
        ),
        "catboost": PluginRef(
            "bessemer.train.learners.catboost:CatBoost",
            extra="catboost",
            requires=("catboost",),
            summary="gradient-boosted symmetric trees",
        ),
        "hist_boosting": PluginRef(
            "bessemer.train.learners.hist_boosting:HistBoosting",
            requires=("sklearn",),
            summary="gradient-boosted trees, scikit-learn's",
        ),
        "random_forest": PluginRef(
            "bessemer.train.learners.random_forest:RandomForest",
            requires=("sklearn",),
            summary="deep trees on samples of the rows, averaged",
        ),
        "extra_trees": PluginRef(
            "bessemer.train.learners.extra_trees:ExtraTrees",
            requires=("sklearn",),
            summary="deep trees with thresholds at random, averaged",
        ),
        "ebm": PluginRef(
            "bessemer.train.learners.ebm:EBM",
            extra="ebm",
            requires=("interpret",),
            summary="explainable boosting: a sum of curves and surfaces",
        ),
        "mlp": PluginRef(
            "bessemer.train.learners.mlp:MLP",
            extra="torch",
            requires=("torch",),
            summary="a neural network for tables",
        ),
        "network": PluginRef(
            "bessemer.train.learners.network:Network",
            extra="torch",
            requires=("torch",),
            summary="a neural network for images, texts, embeddings and tables, in any mixture",
        ),
        "linear": PluginRef(
            "bessemer.train.learners.linear:Linear",
            requires=("sklearn",),
            summary="logistic, ridge, elastic-net or quantile regression",
        ),
        "constant": PluginRef(
            "bessemer.train.learners.constant:Constant", summary="the prior of the classes, or the mean"
        ),
    },
)
