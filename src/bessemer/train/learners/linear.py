"""Logistic or ridge regression on imputed and standardised features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from bessemer.core import canonical
from bessemer.train.learners.constant import prior
from bessemer.train.params import Param

if TYPE_CHECKING:
    import numpy as np

    from bessemer.train.learner import Callbacks, Part, Problem

#: The fit holds at most this many values (0.4 GB as float64), whatever the number of columns.
_MOST_VALUES = 50_000_000
#: Up to this many coefficients Newton's method is faster than L-BFGS (the Hessian is this number squared).
_NEWTON_UP_TO = 600
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

    def native(self) -> tuple[str, bytes]:
        fields = ("impute", "mean", "scale", "coef", "intercept")
        return "linear.json", canonical.dump_bytes({name: getattr(self, name).tolist() for name in fields})


class Linear:
    """Scikit-learn's LogisticRegression or Ridge; missing values become the median of the feature."""

    NAME: ClassVar[str] = "linear"
    PARAMS: ClassVar[Mapping[str, Param]] = {
        "l2": Param(1.0, float, "strength of the ridge penalty on standardised coefficients", 1e-9, 1e9),
        "max_rows": Param(200_000, int, "rows to fit on, drawn at random", 100, 10_000_000),
        "max_iter": Param(200, int, "most iterations of the solver", 1, 100_000),
    }

    def fit(
        self, problem: Problem, train: Part, valid: Part, params: Mapping[str, Any], callbacks: Callbacks
    ) -> LinearModel:
        import numpy as np
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        most = min(params["max_rows"], max(1000, _MOST_VALUES // max(1, train.X.shape[1])))
        X, y = _sample(train, most, callbacks.seed("linear/rows"))
        impute, mean, scale = (v.astype(np.float32) for v in _statistics(X))
        Z = standardised(X, impute, mean, scale)
        with threadpool_limits(limits=1):  # the order of a threaded sum depends on the number of threads
            coef, intercept, iterations = _solve(problem, Z, y, params)
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


def _sample(train: Part, most: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Up to `most` rows in their order; infinity counts as missing here."""
    import numpy as np

    if len(train) > most:
        rows = np.sort(np.random.default_rng(seed).choice(len(train), most, replace=False))
        X, y = train.X[rows], train.y[rows]
    else:
        X, y = np.array(train.X), np.asarray(train.y)
    X[np.isinf(X)] = np.nan
    return X, y


def _statistics(X: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Median, mean and standard deviation of each feature after imputing; a constant one has scale 1."""
    import numpy as np

    features = X.shape[1]
    impute, mean, scale = np.zeros(features), np.zeros(features), np.ones(features)
    for f in range(features):
        column = X[:, f].astype(np.float64)
        known = column[~np.isnan(column)]
        if not len(known):
            continue
        impute[f] = np.float32(np.median(known))
        filled = np.where(np.isnan(column), impute[f], column)
        mean[f], spread = np.mean(filled), np.std(filled)
        if spread > 1e-6 * max(abs(mean[f]), 1e-30):  # below that, float32 cannot tell the values apart
            scale[f] = spread
    # squares of float32's extremes leave its range: such a scale would be 0 or infinite
    return impute, mean, np.clip(scale, np.finfo(np.float32).tiny, np.finfo(np.float32).max)


def _solve(
    problem: Problem, Z: np.ndarray, y: np.ndarray, params: Mapping[str, Any]
) -> tuple[np.ndarray, np.ndarray, int]:
    """Coefficients (K', F), intercepts (K',), iterations. A class that is not in `y` keeps its prior."""
    import warnings

    import numpy as np
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression, Ridge

    coef, intercept = np.zeros((problem.outputs, Z.shape[1])), prior(problem, y)
    present = np.unique(y).astype(np.int64)
    if len(present) < 2:
        return coef, intercept, 0
    if problem.task == "regression":
        centre, spread = float(np.mean(y)), float(np.std(y))
        ridge = Ridge(alpha=params["l2"], solver="cholesky" if len(Z) > Z.shape[1] else "auto")
        ridge.fit(Z, (y - centre) / spread)
        return ridge.coef_[None, :] * spread, np.array([ridge.intercept_ * spread + centre]), 1
    newton = Z.shape[1] * problem.outputs <= _NEWTON_UP_TO
    model = LogisticRegression(
        C=1 / params["l2"], max_iter=params["max_iter"], solver="newton-cholesky" if newton else "lbfgs"
    )
    with warnings.catch_warnings():  # a baseline that is nearly converged is still one
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(Z, y.astype(np.int64), sample_weight=problem.row_weights(y))
    iterations = int(np.max(model.n_iter_))
    if problem.task == "binary":
        return model.coef_, model.intercept_, iterations
    if len(present) == 2:  # scikit-learn gives one row for two classes: half of it speaks for each
        coef[present], intercept[present] = (
            np.outer([-0.5, 0.5], model.coef_[0]),
            model.intercept_ * [-0.5, 0.5],
        )
    else:
        coef[present], intercept[present] = model.coef_, model.intercept_
    absent = np.setdiff1d(np.arange(problem.classes), present)
    intercept[absent] = intercept[present].min() + prior(problem, y)[absent]
    return coef, intercept, iterations
