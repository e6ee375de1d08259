"""LightGBM with its defaults and pandas categories."""

from __future__ import annotations

import json

import lightgbm
import numpy as np
import pandas as pd

from peers.task import Categories, Predict, Task

PACKAGES = ("lightgbm",)


def fit(task: Task) -> None:
    X = task.features(task.train)
    texts = Categories.of(X)
    estimator = lightgbm.LGBMClassifier if task.binary else lightgbm.LGBMRegressor
    model = estimator(random_state=task.seed, n_jobs=task.threads, verbosity=-1)
    model.fit(texts(X), task.labels())
    task.model.mkdir()
    model.booster_.save_model(task.model / "model.txt")
    (task.model / "levels.json").write_text(json.dumps(texts.levels))


def load(task: Task) -> Predict:
    booster = lightgbm.Booster(
        model_file=task.model / "model.txt", params={"num_threads": task.threads, "verbosity": -1}
    )
    texts = Categories(json.loads((task.model / "levels.json").read_text()))

    def predict(X: pd.DataFrame) -> np.ndarray:
        return np.asarray(booster.predict(texts(X), num_threads=task.threads))

    return predict
