"""Bessemer's AutoML: the whole flow from the two files to the signed package, all defaults but budget and metric."""

from __future__ import annotations

import shutil
from typing import Any

import numpy as np
import pandas as pd
import yaml

import bessemer
from peers.task import Predict, Task

PACKAGES = ("bessemer", "lightgbm", "onnxruntime")


def fit(task: Task) -> dict[str, Any]:
    place = task.folder / "project"
    place.mkdir()
    (place / "bessemer.yaml").write_text(yaml.safe_dump(project(task)))
    run = bessemer.Project(place).run(track=False)
    assert run.package is not None
    shutil.copyfile(run.package, task.model)
    stages = {stage.stage: stage.seconds for stage in run.stages}
    shown = ", ".join(f"{name} {took:.1f}" for name, took in stages.items())
    return {"fit_seconds": stages["train"], "note": f"seconds of the stages: {shown}"}


def project(task: Task) -> dict[str, Any]:
    """The project file."""
    metric = "roc_auc" if task.binary else "rmse"
    return {
        "name": "benchmark",
        "target": task.target,
        "task": task.kind,
        "seed": task.seed,
        "resources": {"threads": task.threads},
        "acquire": {
            "sources": {"train": {"csv": str(task.train)}, "test": {"csv": str(task.test)}},
            "sql": "select *, 'train' as part from train union all by name select *, 'test' as part from test",
        },
        "prepare": {"split": {"given": "part"}},
        "train": {"automl": {"budget": f"{task.budget:g}s"}, "metric": metric},
    }


def load(task: Task) -> Predict:
    model = bessemer.load(task.model, threads=task.threads)
    column = "probability" if task.binary else "prediction"

    def predict(X: pd.DataFrame) -> np.ndarray:
        table = model.predict(X, columns=[column])
        return np.asarray(table.column(column).to_numpy(), dtype=np.float64)

    return predict
