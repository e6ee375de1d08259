"""mljar-supervised in the mode for the best accuracy (`Compete`) within the time budget."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from supervised.automl import AutoML

from peers.task import Predict, Task

PACKAGES = ("mljar-supervised", "lightgbm", "xgboost", "catboost", "scikit-learn")


def fit(task: Task) -> dict[str, Any]:
    automl = AutoML(
        results_path=str(task.model),
        mode="Compete",
        ml_task="binary_classification" if task.binary else "regression",
        eval_metric="auc" if task.binary else "rmse",
        total_time_limit=round(task.budget),
        n_jobs=task.threads,
        random_state=task.seed,
        verbose=0,
    )
    automl.fit(task.features(task.train), task.labels())
    return {"note": "the artefact is the whole results folder, which the tool loads from"}


def load(task: Task) -> Predict:
    automl = AutoML(results_path=str(task.model), n_jobs=task.threads, verbose=0)

    def predict(X: pd.DataFrame) -> np.ndarray:
        if task.binary:
            return np.asarray(automl.predict_proba(X), dtype=np.float64)[:, 1]
        return np.asarray(automl.predict(X), dtype=np.float64)

    return predict
