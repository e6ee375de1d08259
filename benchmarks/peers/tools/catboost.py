"""CatBoost with its defaults and its own treatment of categories."""

from __future__ import annotations

import catboost
import numpy as np
import pandas as pd

from peers.task import Categories, Predict, Task

PACKAGES = ("catboost",)


def fit(task: Task) -> None:
    X = task.features(task.train)
    texts = list(Categories.of(X).levels)
    estimator = catboost.CatBoostClassifier if task.binary else catboost.CatBoostRegressor
    model = estimator(
        random_seed=task.seed,
        thread_count=task.threads,
        cat_features=texts,
        allow_writing_files=False,
        verbose=False,
    )
    model.fit(_filled(X, texts), task.labels())
    model.save_model(str(task.model))


def load(task: Task) -> Predict:
    model = (catboost.CatBoostClassifier if task.binary else catboost.CatBoostRegressor)()
    model.load_model(str(task.model))
    texts = [model.feature_names_[i] for i in model.get_cat_feature_indices()]

    def predict(X: pd.DataFrame) -> np.ndarray:
        rows = _filled(X, texts)
        if task.binary:
            return np.asarray(model.predict_proba(rows, thread_count=task.threads))[:, 1]
        return np.asarray(model.predict(rows, thread_count=task.threads))

    return predict


def _filled(X: pd.DataFrame, texts: list[str]) -> pd.DataFrame:
    """CatBoost takes no missing categories: a missing text is a level of its own."""
    return X.assign(**{name: X[name].astype(object).fillna("").astype(str) for name in texts})
