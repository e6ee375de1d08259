"""FLAML: all of its default estimators within the time budget."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
from flaml import AutoML

from peers.task import Categories, Predict, Task, positive

PACKAGES = ("flaml", "lightgbm", "xgboost", "catboost", "scikit-learn")


def fit(task: Task) -> dict[str, Any]:
    X = task.features(task.train)
    texts = Categories.of(X)
    automl = AutoML()
    automl.fit(
        texts(X),
        task.labels(),
        task="classification" if task.binary else "regression",
        metric="roc_auc" if task.binary else "rmse",
        time_budget=task.budget,
        n_jobs=task.threads,
        seed=task.seed,
        verbose=0,
    )
    task.model.write_bytes(pickle.dumps((texts.levels, automl)))
    return {"note": f"{automl.best_estimator} shipped"}


def load(task: Task) -> Predict:
    levels, automl = pickle.loads(task.model.read_bytes())
    texts, inner = Categories(levels), positive(automl) if task.binary else None

    def predict(X: pd.DataFrame) -> np.ndarray:
        rows = texts(X)
        return inner(rows) if inner else np.asarray(automl.predict(rows), dtype=np.float64)

    return predict
