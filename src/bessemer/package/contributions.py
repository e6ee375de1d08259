"""How much each feature moved a prediction: exact contributions from the native model.

Contributions and base sum to the graph's `score` (log-odds, log-probabilities up to a constant, or the
predicted value). For trees they are Shapley values of the path-dependent game (Lundberg et al. 2020, "From
local explanations to global understanding with explainable AI for trees"); for a linear model each is the
coefficient times the distance from the mean.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from bessemer.core.errors import FormatError, did_you_mean


class _Native(Protocol):
    """A trained model in its own form. x is (N, F) float32; both answers are float64, before calibration."""

    def margin(self, x: np.ndarray) -> np.ndarray:
        """The raw score, (N, K')."""

    def contributions(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Base (N, K') and each feature's part (N, F, K')."""


class _LightGBM:
    def __init__(self, native: bytes, threads: int) -> None:
        import lightgbm

        self._booster = lightgbm.Booster(model_str=native.decode("utf-8"))
        self._outputs = int(self._booster.num_model_per_iteration())
        self._threads = threads

    def margin(self, x: np.ndarray) -> np.ndarray:
        raw = self._booster.predict(x, raw_score=True, num_threads=self._threads)
        return np.asarray(raw, dtype=np.float64).reshape(len(x), self._outputs)

    def contributions(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = self._booster.predict(x, pred_contrib=True, num_threads=self._threads)
        split = np.asarray(found, dtype=np.float64).reshape(len(x), self._outputs, x.shape[1] + 1)
        split = split.transpose(0, 2, 1)
        return split[:, -1, :], split[:, :-1, :]


class _Linear:
    def __init__(self, native: bytes, threads: int) -> None:
        fitted = {name: np.asarray(value, dtype=np.float64) for name, value in json.loads(native).items()}
        self._impute, self._mean, self._scale = fitted["impute"], fitted["mean"], fitted["scale"]
        self._weights, self._intercept = fitted["coef"].T, fitted["intercept"]  # (F, K'), (K',)

    def _standard(self, x: np.ndarray) -> np.ndarray:
        wide = x.astype(np.float64)
        standard: np.ndarray = (np.where(np.isnan(wide), self._impute, wide) - self._mean) / self._scale
        return standard

    def margin(self, x: np.ndarray) -> np.ndarray:
        total: np.ndarray = self._standard(x) @ self._weights + self._intercept
        return total

    def contributions(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        base = np.broadcast_to(self._intercept, (len(x), len(self._intercept)))
        return base, self._standard(x)[:, :, None] * self._weights[None, :, :]


class _Constant:
    def __init__(self, native: bytes, threads: int) -> None:
        self._score = np.asarray(json.loads(native)["score"], dtype=np.float64)

    def margin(self, x: np.ndarray) -> np.ndarray:
        return np.broadcast_to(self._score, (len(x), len(self._score)))

    def contributions(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.margin(x), np.zeros((*x.shape, len(self._score)))


_KINDS: Mapping[str, Callable[[bytes, int], _Native]] = {
    "lightgbm": _LightGBM,
    "linear": _Linear,
    "constant": _Constant,
}


class Contributions:
    """Exact contributions of a native model, on the scale of the graph's `score`.

    Args:
        kind: lightgbm, linear or constant (`native.kind` of model.json).
        native: the content of the native file.
        model_json: model.json, for the calibration, the features and the groups.
        threads: threads LightGBM may use.

    Raises:
        FormatError: a kind this version does not know.

    >>> native = b'{"impute": [0], "mean": [1], "scale": [2], "coef": [[4]], "intercept": [0.5]}'
    >>> model_json = {"features": [{"name": "x", "group": "x"}], "groups": ["x"]}
    >>> explain = Contributions("linear", native, model_json)
    >>> base, each = explain.compute(np.array([[2.0]], dtype=np.float32))
    >>> base.tolist(), each.tolist()
    ([[0.5]], [[[2.0]]])
    """

    def __init__(self, kind: str, native: bytes, model_json: Mapping[str, Any], *, threads: int = 1) -> None:
        if kind not in _KINDS:
            raise FormatError(
                f"no contributions for a native model of kind '{kind}'", fix=did_you_mean(kind, _KINDS)
            )
        self.kind = kind
        self.groups: tuple[str, ...] = tuple(model_json["groups"])
        self._group_of = [feature["group"] for feature in model_json["features"]]
        calibration = model_json.get("calibration") or {}
        self._scale = np.asarray(calibration.get("scale", 1.0), dtype=np.float64)
        self._offset = np.asarray(calibration.get("offset", 0.0), dtype=np.float64)
        self._native = _KINDS[kind](native, threads)

    def compute(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Base and contributions of each row.

        Args:
            features: (N, F) float32, the graph's `features`.

        Returns:
            base (N, K') and contributions (N, F, K') in float64; K' is 1, or the number of classes. Their sum
            over features and base is the graph's `score` within 1e-4.
        """
        base, each = self._native.contributions(self._filled(features))
        base, each = base * self._scale + self._offset, each * self._scale
        return base[: len(features)], each[: len(features)]

    def score(self, features: np.ndarray) -> np.ndarray:
        """What the native model says the graph's `score` is: (N, K') float64, without explaining it."""
        found: np.ndarray = self._native.margin(self._filled(features)) * self._scale + self._offset
        return found[: len(features)]

    def _filled(self, features: np.ndarray) -> np.ndarray:
        """The features, or one row of zeros where there are none: not every library takes an empty matrix."""
        if not len(features):
            return np.zeros((1, len(self._group_of)), dtype=np.float32)
        return np.ascontiguousarray(features, dtype=np.float32)

    def by_group(self, contributions: np.ndarray, groups: Sequence[str] | None = None) -> np.ndarray:
        """The sums over each group's features: (N, F, K') -> (N, G, K'), in the order of `groups`.

        A group is the raw column or derived feature that its features were made from.
        """
        order = {name: i for i, name in enumerate(groups if groups is not None else self.groups)}
        sums = np.zeros((len(contributions), len(order), contributions.shape[2]))
        for feature, group in enumerate(self._group_of):
            if group in order:
                sums[:, order[group]] += contributions[:, feature]
        return sums
