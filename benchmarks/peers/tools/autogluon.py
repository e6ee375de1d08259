"""AutoGluon's medium quality within the time budget; what ships is its deployment clone, kept in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from autogluon.tabular import TabularPredictor

from peers.task import Predict, Task

PACKAGES = ("autogluon.tabular", "lightgbm", "xgboost-cpu", "catboost", "torch", "fastai")


def fit(task: Task) -> dict[str, Any]:
    predictor = TabularPredictor(
        label=task.target,
        problem_type=task.kind,
        eval_metric="roc_auc" if task.binary else "root_mean_squared_error",
        path=str(task.folder / "work"),
        verbosity=1,
    )
    train = task.features(task.train).assign(**{task.target: task.labels()})
    train = train.sample(
        frac=1, random_state=task.seed
    )  # it takes no seed: the rows' order stands in for one
    predictor.fit(
        train,
        time_limit=task.budget,
        presets="medium_quality",
        num_cpus=task.threads,
        num_gpus=0,
    )
    predictor.clone_for_deployment(path=str(task.model))
    return {"note": f"{predictor.model_best} shipped, of {len(predictor.model_names())} models"}


def load(task: Task) -> Predict:
    predictor = TabularPredictor.load(str(task.model))
    predictor.persist()

    def predict(X: pd.DataFrame) -> np.ndarray:
        if task.binary:
            return np.asarray(predictor.predict_proba(X, as_multiclass=False), dtype=np.float64)
        return np.asarray(predictor.predict(X), dtype=np.float64)

    return predict
