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
            summary="gradient-boosted trees",
        ),
        "linear": PluginRef(
            "bessemer.train.learners.linear:Linear",
            requires=("sklearn",),
            summary="logistic or ridge regression",
        ),
        "constant": PluginRef(
            "bessemer.train.learners.constant:Constant", summary="the prior of the classes, or the mean"
        ),
    },
)
