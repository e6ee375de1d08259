"""Small networks on real digits, and rows of every kind of input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from bessemer.core.blocks import Block
from bessemer.core.further import Further
from bessemer.testing.learners import callbacks, problem
from bessemer.train.learner import Part, Problem
from bessemer.train.learners.network import Network
from bessemer.train.metrics import Metric
from bessemer.train.params import resolved

#: A network that is trained in a moment; what is tested does not depend on how well it learns.
TINY: Mapping[str, Any] = {
    "image_encoder": {"convnet": {"width": 4, "stages": 1}},
    "text_encoder": {"text_cnn": {"dim": 4, "filters": 4}},
    "table_encoder": {"mlp": {"size": 8, "layers": 1}},
    "hidden_size": 8,
    "epochs": 3,
    "batch_size": 16,
    "check": "none",
}
DIGITS = Problem(
    "multiclass", 10, Metric("multiclass", "log_loss"), blocks=(Block("image", "image", 0, 64, (1, 8, 8)),)
)
#: The digits, whether they are odd, and how much ink they take.
SEVERAL = replace(
    DIGITS,
    further=(Further("odd", "binary", (False, True)), Further("ink", "regression")),
    shares=(1.0, 1.0, 1.0),
)
#: A photo of two channels, a table's feature, a text, an embedding, two more features.
MIXED = (
    Block("photo", "image", 0, 32, (2, 4, 4)),
    Block("review", "tokens", 33, 43, (10,), 20),
    Block("about", "embedding", 43, 48, (5,)),
)


@cache
def digits() -> Part:
    """All of scikit-learn's digits, pixels from 0 to 1, in an order of their own."""
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    return Part((X[order] / 16).astype(np.float32), y[order].astype(np.float64))


def some(first: int, last: int) -> Part:
    return digits().take(np.arange(first, last))


def several(first: int, last: int) -> Part:
    """Some digits with the further targets of `SEVERAL`; every third row does not say whether it is odd."""
    part = some(first, last)
    odd = np.where(np.arange(len(part)) % 3 > 0, part.y % 2, np.nan)
    return replace(part, further=np.stack([odd, part.X.sum(axis=1, dtype=np.float64)], axis=1))


def mixed(n: int, seed: int = 0) -> Part:
    """Rows for `MIXED`, with missing values in every block; each input says something of the class."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n).astype(np.float64)
    X = rng.random((n, 50)).astype(np.float32)
    X[:, :16] += np.where(y == 1, 0.3, 0)[:, None].astype(np.float32)
    X[:, 33:43] = rng.integers(0, 20, (n, 10))
    X[:, 40:43] = 0
    X[:, 33] = np.where(y == 2, 7, X[:, 33])
    X[:, 43:50] += np.where(y == 0, 0.15, 0)[:, None].astype(np.float32)
    for columns in (slice(0, 32), slice(33, 43), slice(43, 48), slice(48, 49)):
        X[rng.random(n) < 0.1, columns] = np.nan
    return Part(X, y)


def mixed_problem() -> Problem:
    return replace(problem("multiclass"), classes=3, blocks=MIXED)


def opened(
    of: Problem, train: Part, valid: Part, workdir: Path, params: Mapping[str, Any] | None = None, **more: Any
) -> Any:
    """A fit before its first step."""
    from bessemer.train.networks.fit import Fit, chosen

    asked = resolved(Network.PARAMS, {**TINY, **(params or {})})
    return Fit(of, train, valid, chosen(len(train), asked), replace(callbacks(workdir), **more))
