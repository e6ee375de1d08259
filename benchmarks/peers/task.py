"""What every tool is given, and the few lines that several of them share.

This module is imported in each tool's own environment: it needs pandas and numpy, nothing of Bessemer.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

#: Raw rows in, probabilities of the positive class (or values) of each row out: float64 (N,).
Predict = Callable[[pd.DataFrame], np.ndarray]


@dataclass(frozen=True)
class Task:
    """One fit of one tool.

    kind: binary or regression. budget: seconds, for tools that take a time limit. folder: empty, the tool's own.
    """

    train: Path
    test: Path
    target: str
    kind: str
    budget: float
    seed: int
    threads: int
    folder: Path

    @classmethod
    def read(cls, path: str) -> Task:
        value = json.loads(Path(path).read_text())
        return cls(**value | {name: Path(value[name]) for name in ("train", "test", "folder")})

    @property
    def binary(self) -> bool:
        return self.kind == "binary"

    @property
    def model(self) -> Path:
        """The file or folder that the tool saves its model in; its size is the artefact's."""
        return self.folder / "model"

    def features(self, path: Path) -> pd.DataFrame:
        return pd.read_csv(path).drop(columns=self.target)

    def labels(self) -> pd.Series:
        """The training target: 1 for the positive class (the last in order), else 0; numbers as they are."""
        y = pd.read_csv(self.train, usecols=[self.target])[self.target]
        return (y == max(y.unique())).astype(int) if self.binary else y.astype(float)


class Categories:
    """Text columns as pandas categories, with the levels of the training rows.

    Args:
        levels: of each text column; a level that is not among them is missing.
    """

    def __init__(self, levels: dict[str, list[str]]) -> None:
        self.levels = levels

    @classmethod
    def of(cls, X: pd.DataFrame) -> Categories:
        texts = [name for name in X if not pd.api.types.is_numeric_dtype(X[name])]
        return cls({name: sorted(X[name].dropna().unique()) for name in texts})

    def __call__(self, X: pd.DataFrame) -> pd.DataFrame:
        """A copy of X in which they are categories."""
        return X.assign(**{n: pd.Categorical(X[n], categories=levels) for n, levels in self.levels.items()})


def positive(model: Any) -> Predict:
    """The prediction of a scikit-learn estimator: its second class's probability, or its value."""

    def predict(X: pd.DataFrame) -> np.ndarray:
        if hasattr(model, "predict_proba"):
            return np.asarray(model.predict_proba(X), dtype=np.float64)[:, 1]
        return np.asarray(model.predict(X), dtype=np.float64)

    return predict
