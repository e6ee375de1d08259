"""How much each column moved a prediction: additive explanations of the native model.

Contributions and base sum to the graph's `score` (log-odds, log-probabilities up to a constant, or the predicted
value). Which method finds them the project file says (`explain.method`); without a word it is `auto`: for trees
Shapley values of the path-dependent game, for a linear model the coefficient times the distance from the mean (see
`package.attribution`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from functools import cached_property
from typing import Any

import numpy as np

from bessemer.core.errors import UsageError
from bessemer.package.attribution.chosen import Chosen
from bessemer.package.attribution.plugins import METHODS, Attribution, Players
from bessemer.package.natives import open_native
from bessemer.package.shapley import Estimate

#: Numbers of rows that are explained at once: their parts are as many for each class, in float64.
_NUMBERS = 1 << 21


class Contributions:
    """Additive explanations of a native model, on the scale of the graph's `score`.

    Args:
        kind: `native.kind` of model.json (see `package.natives`).
        native: the content of the native file.
        model_json: model.json, for the calibration, the features and the groups.
        threads: threads that may share the rows.
        chosen: the method; `auto` where it is not said.

    Raises:
        FormatError: a kind this version does not know.

    >>> native = b'{"impute": [0], "mean": [1], "scale": [2], "coef": [[4]], "intercept": [0.5]}'
    >>> model_json = {"features": [{"name": "x", "group": "x"}], "groups": ["x"]}
    >>> explain = Contributions("linear", native, model_json)
    >>> base, each = explain.compute(np.array([[2.0]], dtype=np.float32))
    >>> base.tolist(), each.tolist()
    ([[0.5]], [[[2.0]]])
    """

    def __init__(
        self,
        kind: str,
        native: bytes,
        model_json: Mapping[str, Any],
        *,
        threads: int = 1,
        chosen: Chosen | None = None,
    ) -> None:
        self.kind = kind
        self.groups: tuple[str, ...] = tuple(model_json["groups"])
        self.chosen = chosen or Chosen("auto")
        self._group_of = [feature["group"] for feature in model_json["features"]]
        self._kinds = [feature.get("kind", "") for feature in model_json["features"]]
        calibration = model_json.get("calibration") or {}
        self._scale = np.asarray(calibration.get("scale", 1.0), dtype=np.float64)
        self._offset = np.asarray(calibration.get("offset", 0.0), dtype=np.float64)
        self.native = open_native(kind, native, threads)
        self._threads = threads

    def by(self, chosen: Chosen) -> Contributions:
        """The same model, explained by another method."""
        found = copy(self)
        found.chosen = chosen
        found.__dict__.pop("method", None)
        return found

    @cached_property
    def method(self) -> Attribution:
        """What explains, made when the first row is asked for.

        Raises:
            UsageError: the method does not explain this model; `fits` says so beforehand.
        """
        kind = METHODS.load(self.chosen.method)
        if why := kind.refuses(self.native):
            raise UsageError(
                f"the method '{self.chosen.method}' does not explain this model: {why}",
                fix=f"explain: {{method: ...}} with one of {', '.join(self.fits())}",
            )
        rows = self.chosen.background
        background = np.zeros((0, len(self._group_of)), dtype=np.float32) if rows is None else rows
        players = Players.named(self._group_of, self._kinds)
        return kind(self.native, players, background, self.chosen.settings, self._threads)

    def fits(self) -> list[str]:
        """The methods that explain this model."""
        return [name for name in METHODS if not METHODS.load(name).refuses(self.native)]

    def compute(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Base and contributions of each row.

        Args:
            features: (N, F) float32, the graph's `features`.

        Returns:
            base (N, K') and contributions (N, F, K') in float64; K' is 1, or the number of classes. Their sum
            over features and base is the graph's `score` within 1e-4. Methods that know a column as a whole give its
            part at its first feature, and 0 at the others: look at the sums that `by_group` gives.
        """
        found = self.estimate(features)
        return np.broadcast_to(found.base, (len(features), len(found.base))), found.each

    def estimate(self, features: np.ndarray) -> Estimate:
        """The same with the standard error of each contribution: 0 where the method is exact."""
        found = self.method.estimate(self._filled(features))
        n = len(features)
        return Estimate(
            found.base * self._scale + self._offset,
            found.each[:n] * self._scale,
            found.error[:n] * np.abs(self._scale),
        )

    def grouped(
        self, features: np.ndarray, groups: Sequence[str] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Base (N, K') and the sums over each group's features (N, G, K'), some rows at a time: memory does not follow
        the features.

        Args: as `compute` and `by_group` take them.
        """
        step = max(1, _NUMBERS // max(1, features.shape[1]))
        starts = range(0, max(1, len(features)), step)
        bases, sums = [], []
        for start in starts:
            base, each = self.compute(features[start : start + step])
            bases.append(base)
            sums.append(self.by_group(each, groups))
        return np.concatenate(bases), np.concatenate(sums)

    @property
    def work(self) -> float:
        """What one row costs, in about a nanosecond of one thread."""
        return self.method.work

    def score(self, features: np.ndarray) -> np.ndarray:
        """What the native model says the graph's `score` is: (N, K') float64, without explaining it."""
        found: np.ndarray = self.native.margin(self._filled(features)) * self._scale + self._offset
        return found[: len(features)]

    def _filled(self, features: np.ndarray) -> np.ndarray:
        """The features, or one row of zeros where there are none: not every library takes an empty matrix."""
        if not len(features):
            return np.zeros((1, len(self._group_of)), dtype=np.float32)
        return np.ascontiguousarray(features, dtype=np.float32)

    @property
    def scale(self) -> np.ndarray:
        """What the calibration multiplies a margin by: () or (K',) float64."""
        return self._scale

    def features_of(self, group: str) -> list[int]:
        """The places of the features that were made from a raw column or derived feature."""
        return [i for i, name in enumerate(self._group_of) if name == group]

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
