"""The table of trackers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bessemer.core.plugins import PluginRef, PluginTable

if TYPE_CHECKING:
    from bessemer.train.trackers.tracker import Tracker

TRACKERS: PluginTable[Tracker] = PluginTable(
    "bessemer.trackers",
    {
        "mlflow": PluginRef(
            "bessemer.train.trackers.mlflow:MLflow",
            extra="mlflow",
            requires=("mlflow",),
            summary="runs, parameters, metrics and files in MLflow",
        ),
        "tensorboard": PluginRef(
            "bessemer.train.trackers.tensorboard:TensorBoard",
            extra="tensorboard",
            requires=("tensorboardX",),
            summary="curves as TensorBoard event files",
        ),
    },
)
