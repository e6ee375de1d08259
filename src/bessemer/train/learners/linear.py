"""Logistic, ridge, elastic-net or quantile regression on imputed and standardised features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from bessemer.core import canonical
from bessemer.train.learner import Native, Part
from bessemer.train.learners.constant import weighted_quantile
from bessemer.train.params import Param, Tune

if TYPE_CHECKING:
    import numpy as np

    from bessemer.train.learner import Callbacks, Problem

#: The fit holds at most this many values (0.4 GB as float64), whatever the number of columns.
_MOST_VALUES = 50_000_000
_BLOCK = 65_536


@dataclass(frozen=True)
class LinearModel:
    """score_k = intercept_k + sum over f of coef_kf * (impute(x_f) - mean_f) / scale_f, all float32.

    impute, mean, scale: (F,); coef: (K', F); intercept: (K',).
    """

    impute: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    coef: np.ndarray
    intercept: np.ndarray
    params: Mapping[str, Any]
    iterations: int = 0
    curves: Mapping[str, list[tuple[int, float]]] = field(default_factory=dict)

    def margin(self, X: np.ndarray) -> np.ndarray:
        import numpy as np

        weights, base = self.coef.T.astype(np.float64), self.intercept.astype(np.float64)
        blocks = [self._standard(X[i : i + _BLOCK]) @ weights + base for i in range(0, len(X), _BLOCK)]
        return np.concatenate(blocks) if blocks else np.zeros((0, len(base)))

    def contributions(self, X: np.ndarray) -> np.ndarray:
        import numpy as np

        each = self._standard(X)[:, None, :] * self.coef[None, :, :].astype(np.float64)
        base = np.broadcast_to(self.intercept[None, :, None], (*each.shape[:2], 1))
        return np.concatenate([each, base], axis=2)

    def _standard(self, X: np.ndarray) -> np.ndarray:
        return standardised(X, self.impute, self.mean, self.scale)

    def to_onnx(self) -> Any:
        from bessemer.package.graph import GraphBuilder

        g = GraphBuilder("linear")
        features = g.input("features", "float32", ("N", len(self.mean)))
        filled = g.op("Where", [g.op("IsNaN", [features]), g.constant(self.impute), features])
        centred = g.op("Sub", [filled, g.constant(self.mean)])
        standard = g.op("Div", [centred, g.constant(self.scale)])
        score = g.op(
            "Gemm", [standard, g.constant(self.coef), g.constant(self.intercept)], transB=1, name="score"
        )
        g.output(score, "float32", ("N", len(self.intercept)))
        return g.model()

    def native(self) -> Native:
        fields = ("impute", "mean", "scale", "coef", "intercept")
        return Native(
            "linear",
            "linear.json",
            canonical.dump_bytes({name: getattr(self, name).tolist() for name in fields}),
        )


class Linear:
    """Linear models; missing values become the median of the feature."""

    NAME: ClassVar[str] = "linear"
    MONOTONE: ClassVar[bool] = False
    QUANTILE: ClassVar[bool] = True
    PARAMS: ClassVar[Mapping[str, Param]] = {
        "l2": Param(
            1.0,
            float,
            "strength of the penalty on standardised coefficients",
            1e-9,
            1e9,
            tune=Tune(1e-2, 1e4, log=True),
        ),
        "l1_ratio": Param(
            0.0,
            float,
            "share of the penalty that is L1: 0 is ridge, 1 is lasso, between is elastic net",
            0,
            1,
        ),
        "max_rows": Param(200_000, int, "rows to fit on, drawn at random", 100, 10_000_000),
        "max_iter": Param(200, int, "most iterations of the solver", 1, 100_000),
    }

    def fit(
        self, problem: Problem, train: Part, valid: Part, params: Mapping[str, Any], callbacks: Callbacks
    ) -> LinearModel:
        import numpy as np
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        from bessemer.train.learners.linear_solvers import solve

        most = min(params["max_rows"], max(1000, _MOST_VALUES // max(1, train.X.shape[1])))
        X, y, weight = _sample(problem, train, most, callbacks.seed("linear/rows"))
        impute, mean, scale = (v.astype(np.float32) for v in _statistics(X, weight))
        Z = standardised(X, impute, mean, scale)
        with threadpool_limits(
            limits=1, user_api="blas"
        ):  # the order of a threaded sum depends on the number of threads
            coef, intercept, iterations = solve(problem, Z, y, weight, params, callbacks.time_left)
        shrunk = coef.astype(np.float32), intercept.astype(np.float32)
        return LinearModel(impute, mean, scale, *shrunk, params=dict(params), iterations=iterations)


def standardised(X: np.ndarray, impute: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """(N, F) float32 with NaN -> (N, F) float64, imputed, centred and scaled."""
    import numpy as np

    wide = X.astype(np.float64)
    np.copyto(wide, impute.astype(np.float64), where=np.isnan(X))
    wide -= mean
    wide /= scale
    return wide


def _sample(
    problem: Problem, train: Part, most: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Up to `most` rows in their order, and what each counts; infinity counts as missing here."""
    import numpy as np

    weight = problem.row_weights(train)
    if len(train) > most:
        rows = np.sort(np.random.default_rng(seed).choice(len(train), most, replace=False))
        X, y, weight = train.X[rows], train.y[rows], None if weight is None else weight[rows]
    else:
        X, y = np.array(train.X), np.asarray(train.y)
    X[np.isinf(X)] = np.nan
    return X, y, weight


def _statistics(X: np.ndarray, weight: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Median, mean and standard deviation of each feature after imputing; a constant one has scale 1."""
    import numpy as np

    features = X.shape[1]
    impute, mean, scale = np.zeros(features), np.zeros(features), np.ones(features)
    for f in range(features):
        column = X[:, f].astype(np.float64)
        known = ~np.isnan(column)
        if not known.any():
            continue
        if weight is None:
            impute[f] = np.float32(np.median(column[known]))
        else:
            impute[f] = np.float32(weighted_quantile(column[known], weight[known], 0.5))
        filled = np.where(known, column, impute[f])
        mean[f] = np.average(filled, weights=weight)
        spread = np.sqrt(np.average((filled - mean[f]) ** 2, weights=weight))
        if spread > 1e-6 * max(abs(mean[f]), 1e-30):  # below that, float32 cannot tell the values apart
            scale[f] = spread
    # squares of float32's extremes leave its range: such a scale would be 0 or infinite
    return impute, mean, np.clip(scale, np.finfo(np.float32).tiny, np.finfo(np.float32).max)
