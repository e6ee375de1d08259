"""Small models of scikit-learn, as one trains them who does not have the model that is attacked; on one thread, since
sums of several depend on their number."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Floats32 = npt.NDArray[np.float32]
Kind = Literal["forest", "linear", "network"]
KINDS: tuple[Kind, ...] = ("forest", "linear", "network")
#: From features (n, F) to what is said of them: (n, K).
Says = Callable[[Floats32], Floats]

_TREES, _HIDDEN, _EPOCHS = 100, 64, 100


def classifier(kind: Kind, X: Floats32, y: npt.NDArray[np.int64], classes: int, seed: int) -> Says:
    """A model of classes: probabilities (n, classes), 0 for classes that no row has."""
    with _one_thread():
        fitted = _classifier(kind, seed).fit(_finite(X), y) if len(np.unique(y)) > 1 else None

    def says(rows: Floats32) -> Floats:
        found = np.zeros((len(rows), classes))
        if fitted is None:
            found[:, y[0]] = 1.0
            return found
        with _one_thread():
            found[:, fitted.classes_] = fitted.predict_proba(_finite(rows))
        return found

    return says


def regressor(kind: Kind, X: Floats32, values: Floats, seed: int) -> Says:
    """A model of several numbers at once, (n, K)."""
    middle, spread = values.mean(axis=0), values.std(axis=0) + 1e-12
    with _one_thread():
        fitted = _regressor(kind, seed).fit(_finite(X), (values - middle) / spread)

    def says(rows: Floats32) -> Floats:
        with _one_thread():
            found = np.asarray(fitted.predict(_finite(rows)), dtype=np.float64).reshape(len(rows), -1)
        scaled: Floats = found * spread + middle
        return scaled

    return says


def _classifier(kind: Kind, seed: int) -> Any:
    if kind == "forest":
        from sklearn.ensemble import RandomForestClassifier

        return RandomForestClassifier(_TREES, min_samples_leaf=2, random_state=seed)
    if kind == "linear":
        from sklearn.linear_model import LogisticRegression

        return _scaled(LogisticRegression(max_iter=200, random_state=seed))
    from sklearn.neural_network import MLPClassifier

    return _scaled(MLPClassifier(hidden_layer_sizes=(_HIDDEN,), max_iter=_EPOCHS, random_state=seed))


def _regressor(kind: Kind, seed: int) -> Any:
    if kind == "forest":
        from sklearn.ensemble import RandomForestRegressor

        return RandomForestRegressor(_TREES, min_samples_leaf=2, random_state=seed)
    if kind == "linear":
        from sklearn.linear_model import Ridge

        return _scaled(Ridge())
    from sklearn.neural_network import MLPRegressor

    return _scaled(MLPRegressor(hidden_layer_sizes=(_HIDDEN,), max_iter=_EPOCHS, random_state=seed))


def _scaled(model: Any) -> Any:
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler(), model)


def _finite(X: Floats32) -> Floats32:
    """What is not finite is missing."""
    return np.where(np.isfinite(X), X, np.float32(np.nan))


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread of BLAS and OpenMP. That a network's epochs end before it has converged is no news."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
