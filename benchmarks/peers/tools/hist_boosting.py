"""scikit-learn's HistGradientBoosting with its defaults and pandas categories."""

from __future__ import annotations

import joblib
import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from peers.task import Categories, Predict, Task, positive

PACKAGES = ("scikit-learn",)


def fit(task: Task) -> None:
    X = task.features(task.train)
    texts = Categories.of(X)
    estimator = HistGradientBoostingClassifier if task.binary else HistGradientBoostingRegressor
    model = estimator(random_state=task.seed).fit(texts(X), task.labels())
    joblib.dump((texts.levels, model), task.model)


def load(task: Task) -> Predict:
    levels, model = joblib.load(task.model)
    texts, inner = Categories(levels), positive(model)

    def predict(X: pd.DataFrame) -> np.ndarray:
        return inner(texts(X))

    return predict
