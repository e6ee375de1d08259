"""How much each feature moved a prediction: exact contributions from the native model.

Contributions and base sum to the graph's `score` (log-odds, log-probabilities up to a constant, or the
predicted value). For trees they are Shapley values of the path-dependent game (Lundberg et al. 2020, "From
local explanations to global understanding with explainable AI for trees"); for a linear model each is the
coefficient times the distance from the mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bessemer.package.natives import open_native


class Contributions:
    """Exact contributions of a native model, on the scale of the graph's `score`.

    Args:
        kind: `native.kind` of model.json (see `package.natives`).
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
        self.kind = kind
        self.groups: tuple[str, ...] = tuple(model_json["groups"])
        self._group_of = [feature["group"] for feature in model_json["features"]]
        calibration = model_json.get("calibration") or {}
        self._scale = np.asarray(calibration.get("scale", 1.0), dtype=np.float64)
        self._offset = np.asarray(calibration.get("offset", 0.0), dtype=np.float64)
        self._native = open_native(kind, native, threads)

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

    @property
    def work(self) -> float:
        """What one row costs, in about a nanosecond of one thread."""
        return self._native.work

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
