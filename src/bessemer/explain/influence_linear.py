"""What one training row did to the coefficients of a linear model, or of a network's last layer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from bessemer.explain.sample import Floats

#: A leverage of 1 would mean that a row alone decides a coefficient.
_MOST_LEVERAGE = 0.999


def newton_removal(
    z: Floats, slope: Floats, curve: Floats, rows: Floats, pull: Floats, l2: float, share: float = 1.0
) -> Floats:
    """Removal by one Newton step, corrected for leverage: exact for ridge regression, where the loss is quadratic.

    Source: Koh and Liang, "Understanding black-box predictions via influence functions", ICML 2017; Pregibon,
    "Logistic regression diagnostics", Annals of Statistics 9 (1981). Of several outputs each is taken by itself.

    Args:
        z, rows: (N, D) and (R, D), without the column of the intercept, which is not penalised.
        slope, curve: (N, K) of the loss in the margins. pull: (R, K). l2: the penalty. share: of the training rows that
            these are.

    Returns:
        (R, N): pull times the change of the margins.

    >>> z = np.array([[-1.0], [0.0], [1.0], [2.0]]); y = np.array([0.0, 1.0, 2.0, 7.0])
    >>> slope = (np.polyval(np.polyfit(z[:, 0], y, 1), z[:, 0]) - y)[:, None]
    >>> found = newton_removal(z, slope, np.ones((4, 1)), z[-1:], np.ones((1, 1)), 0.0)
    >>> without = np.polyval(np.polyfit(z[:3, 0], y[:3], 1), 2.0) - np.polyval(np.polyfit(z[:, 0], y, 1), 2.0)
    >>> bool(np.isclose(found[0, -1], without))
    True
    """
    wide, far = (np.column_stack([np.ones(len(part)), part]) for part in (z, rows))
    found = np.zeros((len(rows), len(z)))
    penalty = np.diag([0.0, *([l2] * z.shape[1])])
    for k in range(slope.shape[1]):
        hessian = (wide * curve[:, k, None]).T @ wide / share + penalty
        inverse = np.linalg.pinv(hessian, hermitian=True)
        reach = wide @ inverse
        leverage = np.minimum((reach * wide).sum(axis=1) * curve[:, k], _MOST_LEVERAGE)
        found += pull[:, k, None] * (far @ reach.T) * (slope[:, k] / (1 - leverage))
    return found


def imbalance(z: Floats, slope: Floats, pulled: Floats) -> float:
    """How far the fit is from an optimum: the worst sum of slopes, of all that is added up; 0 is balanced.

    pulled: (D, K), what the penalty adds to the sums.
    """
    total = np.abs(z.T @ slope + pulled)
    most = np.abs(z).T @ np.abs(slope)
    return float((total / np.maximum(most, 1e-300)).max(initial=0.0))


class Standard:
    """The features as a linear model sees them: imputed, centred, scaled. coef: (K, F)."""

    def __init__(self, native: bytes) -> None:
        held = {name: np.asarray(value, dtype=np.float64) for name, value in json.loads(native).items()}
        self.impute, self.mean, self.scale, self.coef = (
            held[name] for name in ("impute", "mean", "scale", "coef")
        )

    def __call__(self, features: np.ndarray) -> Floats:
        wide = features.astype(np.float64)
        found: Floats = (np.where(np.isfinite(wide), wide, self.impute) - self.mean) / self.scale
        return found


class LastLayer:
    """What a network's last layer is told of a row: (N, F) features -> (N, D)."""

    def __init__(self, native: bytes) -> None:
        from bessemer.package.cut import extract
        from bessemer.package.onnx_format import parse, serialize
        from bessemer.package.runtime import open_session

        model = parse(native.partition(b"\n")[2])
        last = [node for node in model.graph.node if node.op_type == "Gemm"][-1]
        self._name = last.input[0]
        self._session = open_session(serialize(extract(model, list(model.graph.input), [self._name])), 1)

    def __call__(self, features: np.ndarray) -> Floats:
        given = {"features": np.ascontiguousarray(features, dtype=np.float32)}
        (found,) = self._session.run([self._name], given)
        return np.asarray(found, dtype=np.float64)
