"""The solvers of `linear`: scikit-learn's where it has a fast exact one, L-BFGS-B for what it has not.

All minimise the sum over the rows of weight * loss, plus l2 * (l1_ratio * |w|_1 + (1 - l1_ratio) / 2 * |w|^2) over
the coefficients; the weights are 1 on average. A regression's target is standardised first.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.stats.calibration import sigmoid, softmax
from bessemer.train.learners.constant import prior, weighted_quantile

if TYPE_CHECKING:
    from bessemer.train.learner import Problem

#: Up to this many coefficients Newton's method is faster than L-BFGS (the Hessian is this number squared).
_NEWTON_UP_TO = 600
#: The widths, in standard deviations of the target, that the pinball loss is smoothed over, one after another.
_SMOOTHING = (0.5, 0.1, 0.02)

#: Coefficients (K', F), intercepts (K',), iterations.
Solution = tuple[np.ndarray, np.ndarray, int]
#: Margins (N, K) -> the loss, and its slope in each margin (N, K).
Loss = Callable[[np.ndarray], tuple[float, np.ndarray]]


def solve(
    problem: Problem,
    Z: np.ndarray,
    y: np.ndarray,
    weight: np.ndarray | None,
    params: Mapping[str, Any],
    time_left: Callable[[], float],
) -> Solution:
    """Fit standardised features Z (N, F) float64."""
    if len(np.unique(y)) < 2:
        return np.zeros((problem.outputs, Z.shape[1])), prior(problem, y, weight), 0
    weight = None if weight is None else weight / weight.mean()
    with _nearly_converged_is_fine():
        if problem.task != "regression":
            return _classes(problem, Z, y, weight, params, time_left)
        centre = float(np.average(y, weights=weight))
        spread = float(np.sqrt(np.average((y - centre) ** 2, weights=weight)))
        target = (y - centre) / spread
        if problem.quantile is not None:
            coef, intercept, iterations = _quantile(problem.quantile, Z, target, weight, params, time_left)
        else:
            coef, intercept, iterations = _mean(Z, target, weight, params)
    return coef * spread, intercept * spread + centre, iterations


def _nearly_converged_is_fine() -> Any:
    from sklearn.exceptions import ConvergenceWarning

    return warnings.catch_warnings(action="ignore", category=ConvergenceWarning)


def _mean(Z: np.ndarray, y: np.ndarray, weight: np.ndarray | None, params: Mapping[str, Any]) -> Solution:
    """Ridge in closed form, elastic net by coordinate descent (Friedman, Hastie and Tibshirani 2010)."""
    from sklearn.linear_model import ElasticNet, Ridge

    strength, share, rows = params["l2"], params["l1_ratio"], len(Z)
    model: Any
    if share > 0:  # one of its iterations looks at each coefficient once
        model = ElasticNet(alpha=strength / rows, l1_ratio=share, max_iter=params["max_iter"] * 10)
    else:
        model = Ridge(alpha=strength, solver="cholesky" if rows > Z.shape[1] else "auto")
    model.fit(Z, y, sample_weight=weight)
    iterations = int(np.max(getattr(model, "n_iter_", None) or 1))
    return model.coef_[None, :], np.array([float(model.intercept_)]), iterations


def _quantile(
    quantile: float,
    Z: np.ndarray,
    y: np.ndarray,
    weight: np.ndarray | None,
    params: Mapping[str, Any],
    time_left: Callable[[], float],
) -> Solution:
    """The pinball loss, smoothed less and less (Zheng 2011); its linear program would take a few thousand rows.

    The intercept is the exact quantile of what the coefficients leave.
    """
    w = np.ones(len(y)) if weight is None else weight
    at = np.append(np.zeros(Z.shape[1]), weighted_quantile(y, w, quantile))
    iterations = 0
    for width in _SMOOTHING:

        def loss(margin: np.ndarray, width: float = width) -> tuple[float, np.ndarray]:
            short = y - margin[:, 0]
            value = w @ (quantile * short + width * np.logaddexp(0, -short / width))
            return float(value), (w * (sigmoid(-short / width) - quantile))[:, None]

        at, steps = _minimised(loss, Z, 1, at, params, time_left)
        iterations += steps
    coef = at[:-1]
    return coef[None, :], np.array([weighted_quantile(y - Z @ coef, w, quantile)]), iterations


def _classes(
    problem: Problem,
    Z: np.ndarray,
    y: np.ndarray,
    weight: np.ndarray | None,
    params: Mapping[str, Any],
    time_left: Callable[[], float],
) -> Solution:
    """A class that is not in `y` keeps its prior."""
    start = prior(problem, y, weight)
    if problem.task == "binary":
        coef, intercept, iterations = _logistic(Z, y, weight, params, time_left)
        return coef, intercept, iterations
    present, number = np.unique(y.astype(np.int64), return_inverse=True)
    found, constant, iterations = _logistic(Z, number, weight, params, time_left)
    if len(present) == 2:  # one row for two classes: half of it speaks for each
        found, constant = np.outer([-0.5, 0.5], found[0]), constant * [-0.5, 0.5]
    coef, intercept = np.zeros((problem.outputs, Z.shape[1])), start.copy()
    coef[present], intercept[present] = found, constant
    absent = np.setdiff1d(np.arange(problem.classes), present)
    intercept[absent] = intercept[present].min() + start[absent]
    return coef, intercept, iterations


def _logistic(
    Z: np.ndarray,
    y: np.ndarray,
    weight: np.ndarray | None,
    params: Mapping[str, Any],
    time_left: Callable[[], float],
) -> Solution:
    """Logistic regression on classes 0 to K - 1, all of which are there; two of them give one row."""
    from sklearn.linear_model import LogisticRegression

    outputs = 1 if y.max() == 1 else int(y.max()) + 1
    if (
        params["l1_ratio"] > 0 or Z.shape[1] * outputs > _NEWTON_UP_TO
    ):  # scikit-learn's own would not ask the clock
        loss = _log_loss(y.astype(np.int64), np.ones(len(y)) if weight is None else weight, outputs)
        start = np.zeros((Z.shape[1] + 1) * outputs)
        at, iterations = _minimised(loss, Z, outputs, start, params, time_left)
        size = Z.shape[1] * outputs
        return at[:size].reshape(outputs, -1), at[size:], iterations
    model = LogisticRegression(C=1 / params["l2"], max_iter=params["max_iter"], solver="newton-cholesky")
    model.fit(Z, y.astype(np.int64), sample_weight=weight)
    return model.coef_, model.intercept_, int(np.max(model.n_iter_))


def _log_loss(y: np.ndarray, weight: np.ndarray, outputs: int) -> Loss:
    rows = np.arange(len(y))

    def two(margin: np.ndarray) -> tuple[float, np.ndarray]:
        m = margin[:, 0]
        return float(weight @ (np.logaddexp(0, m) - y * m)), (weight * (sigmoid(m) - y))[:, None]

    def many(margin: np.ndarray) -> tuple[float, np.ndarray]:
        slope = softmax(margin)
        value = weight @ (np.logaddexp.reduce(margin, axis=1) - margin[rows, y])
        slope[rows, y] -= 1
        return float(value), slope * weight[:, None]

    return two if outputs == 1 else many


def _minimised(
    loss: Loss,
    Z: np.ndarray,
    outputs: int,
    start: np.ndarray,
    params: Mapping[str, Any],
    time_left: Callable[[], float],
) -> tuple[np.ndarray, int]:
    """Coefficients and then intercepts, flat, that make loss and penalty least; and the iterations.

    Where sizes are penalised, a coefficient is the difference of two that are not below 0, so that its size is smooth
    (Schmidt et al. 2007).
    """
    from scipy.optimize import minimize

    size = Z.shape[1] * outputs
    l1, l2 = params["l2"] * params["l1_ratio"], params["l2"] * (1 - params["l1_ratio"])

    if l1 == 0:
        return _smooth(loss, Z, outputs, start, l2, params, time_left)

    def value(at: np.ndarray) -> tuple[float, np.ndarray]:
        up, down, constant = at[:size], at[size : 2 * size], at[2 * size :]
        flat = up - down
        coef = flat.reshape(outputs, -1)
        found, slope = loss(Z @ coef.T + constant)
        inner = (slope.T @ Z).reshape(-1) + l2 * flat
        gradient = np.concatenate([inner + l1, l1 - inner, slope.sum(axis=0)])
        return (found + l2 / 2 * float(flat @ flat) + l1 * float(up.sum() + down.sum())) / len(
            Z
        ), gradient / len(Z)

    flat = start[:size]
    begin = np.concatenate([np.maximum(flat, 0), np.maximum(-flat, 0), start[size:]])
    bounds = [(0, None)] * (2 * size) + [(None, None)] * (len(start) - size)
    found = minimize(
        value, begin, jac=True, bounds=bounds, callback=_stop(time_left), **_quasi_newton(params)
    )
    at: np.ndarray = np.concatenate([found.x[:size] - found.x[size : 2 * size], found.x[2 * size :]])
    return at, int(found.nit)


def _smooth(
    loss: Loss,
    Z: np.ndarray,
    outputs: int,
    start: np.ndarray,
    l2: float,
    params: Mapping[str, Any],
    time_left: Callable[[], float],
) -> tuple[np.ndarray, int]:
    """`_minimised` without a penalty on sizes."""
    from scipy.optimize import minimize

    size = Z.shape[1] * outputs

    def value(at: np.ndarray) -> tuple[float, np.ndarray]:
        flat, constant = at[:size], at[size:]
        found, slope = loss(Z @ flat.reshape(outputs, -1).T + constant)
        gradient = np.concatenate([(slope.T @ Z).reshape(-1) + l2 * flat, slope.sum(axis=0)])
        return (found + l2 / 2 * float(flat @ flat)) / len(Z), gradient / len(Z)

    made = minimize(value, start, jac=True, callback=_stop(time_left), **_quasi_newton(params))
    at: np.ndarray = made.x
    return at, int(made.nit)


def _quasi_newton(params: Mapping[str, Any]) -> dict[str, Any]:
    options = {"maxiter": params["max_iter"], "maxfun": 2 * params["max_iter"], "gtol": 1e-6, "ftol": 1e-10}
    return {"method": "L-BFGS-B", "options": options}


def _stop(time_left: Callable[[], float]) -> Callable[[Any], None]:
    def stop(intermediate_result: Any) -> None:
        if time_left() <= 0:
            raise StopIteration

    return stop
