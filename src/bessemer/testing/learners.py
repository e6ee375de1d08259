"""What every learner must keep. In a plug-in's own tests:

from bessemer.testing.learners import check_learner

@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_my_learner(task, tmp_path):
    check_learner(MyLearner, task, tmp_path)
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.core import canonical
from bessemer.core.signature import Task
from bessemer.train.learner import Callbacks, Fitted, Learner, Part, Problem
from bessemer.train.metrics import DEFAULT, Metric
from bessemer.train.params import resolved

if TYPE_CHECKING:
    from bessemer.train.params import Param

CLASSES: Mapping[Task, int] = {"binary": 2, "multiclass": 4, "regression": 0}


def problem(task: Task, metric: str = "") -> Problem:
    return Problem(task, CLASSES[task], Metric(task, metric or DEFAULT[task]))


def callbacks(
    workdir: Path, *, rounds: int = 30, checkpoint: int = 10, early_stopping: int = 50
) -> Callbacks:
    """Callbacks that report to nobody; seeds come from the labels."""
    workdir.mkdir(parents=True, exist_ok=True)

    def seed(label: str) -> int:
        return int(canonical.digest(label)[:7], 16)

    return Callbacks(
        on_round=lambda name, step, value: None,
        seed=seed,
        workdir=workdir,
        fingerprint="conformance",
        rounds=rounds,
        checkpoint=checkpoint,
        early_stopping=early_stopping,
    )


def rows(task: Task, n: int = 600, seed: int = 0) -> Part:
    """A part with what real tables have: missing values, a constant, an empty and a skewed feature, counts."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 7)).astype(np.float32)
    X[:, 1] = rng.integers(0, 5, n)
    X[:, 2] = 3.0
    X[:, 3] = np.nan
    X[:, 4] = np.exp(3 * X[:, 4])
    X[rng.random(n) < 0.2, 5] = np.nan
    signal = X[:, 0] + 0.5 * X[:, 1] + np.where(np.isnan(X[:, 5]), 1.0, X[:, 5]) + rng.normal(size=n) * 0.3
    if task == "regression":
        return Part(X, signal.astype(np.float64) * 10 + 1000)
    edges = np.quantile(signal, np.linspace(0, 1, CLASSES[task] + 1)[1:-1])
    return Part(X, np.searchsorted(edges, signal).astype(np.float64))


def check_learner(learner: type[Learner], task: Task, workdir: Path) -> None:
    """Fit, and check all of it. Raises AssertionError with the law that is broken."""
    train, valid, test = (rows(task, seed=seed) for seed in range(3))
    params = resolved(learner.PARAMS, {})
    fitted = learner().fit(problem(task), train, valid, params, callbacks(workdir / "a"))
    again = learner().fit(problem(task), train, valid, params, callbacks(workdir / "b"))
    check_params(learner.PARAMS)
    check_margins(fitted, problem(task), test.X)
    check_twin(fitted, test.X)
    check_contributions(fitted, test.X)
    assert fitted.native() == again.native(), "the same fit must give the same bytes"
    assert canonical.dumps(fitted.params) == canonical.dumps(again.params)
    assert dict(fitted.curves) == dict(again.curves), "the same fit must give the same curves"
    check_strange_data(learner, task, workdir)


def check_params(table: Mapping[str, Param]) -> None:
    for name, param in table.items():
        assert param.meaning, f"parameter {name} needs a meaning"
        assert param.default is None or not param.fault(param.default), f"the default of {name} is a fault"


def check_margins(fitted: Fitted, problem: Problem, X: np.ndarray) -> None:
    margin = fitted.margin(X)
    assert margin.shape == (len(X), problem.outputs), f"margins have shape {margin.shape}"
    assert margin.dtype == np.float64, "margins are float64"
    assert np.isfinite(margin).all(), "margins are finite, also for missing values"
    assert fitted.margin(X[:0]).shape == (0, problem.outputs), "no rows give no margins"


def check_twin(fitted: Fitted, X: np.ndarray) -> None:
    """The ONNX graph says what the learner's own library says, to 1e-5 of the margin's size."""
    margin = fitted.margin(X)
    worst = np.max(np.abs(run_head(fitted.to_onnx(), X) - margin) / np.maximum(1, np.abs(margin)))
    assert worst < 1e-5, f"the ONNX twin differs by {worst}"


def check_contributions(fitted: Fitted, X: np.ndarray) -> None:
    each = fitted.contributions(X[:50])
    margin = fitted.margin(X[:50])
    assert each.shape == (len(margin), margin.shape[1], X.shape[1] + 1), f"contributions are {each.shape}"
    worst = np.max(np.abs(each.sum(axis=2) - margin) / np.maximum(1, np.abs(margin)))
    assert worst < 1e-5, f"contributions and base miss the margin by {worst}"


def check_strange_data(learner: type[Learner], task: Task, workdir: Path) -> None:
    """One feature, all missing, all constant, no validation rows, a class with one row, one class only."""
    base = rows(task, 120)
    empty = Part(base.X[:0], base.y[:0])
    rare = base.y.copy()
    rare[rare == rare.max()] = 0
    rare[7] = base.y.max()
    cases: dict[str, tuple[Part, Part]] = {
        "one feature": (Part(base.X[:, :1], base.y), Part(base.X[:, :1], base.y)),
        "all missing": (Part(base.X[:, 3:4], base.y), Part(base.X[:, 3:4], base.y)),
        "constant": (Part(base.X[:, 2:3], base.y), Part(base.X[:, 2:3], base.y)),
        "no validation rows": (base, empty),
        "a class with one row": (Part(base.X, rare), base),
        "one class": (Part(base.X, np.zeros_like(base.y)), base),
        "infinite": (Part(np.where(base.X > 1, np.inf, base.X).astype(np.float32), base.y), base),
    }
    params = resolved(learner.PARAMS, {})
    for number, (name, (train, valid)) in enumerate(cases.items()):
        place = callbacks(workdir / f"strange{number}", rounds=5, checkpoint=2)
        fitted = learner().fit(problem(task), train, valid, params, place)
        X = base.X[:, : train.X.shape[1]]
        margin, twin = fitted.margin(X), run_head(fitted.to_onnx(), X)
        assert margin.shape == (len(X), problem(task).outputs), f"{name}: margins have shape {margin.shape}"
        assert np.isfinite(margin).all(), f"{name}: margins are not finite"
        assert np.allclose(twin, margin, rtol=1e-5, atol=1e-5), f"{name}: the ONNX twin differs"


def run_head(model: Any, X: np.ndarray) -> np.ndarray:
    """`score` of a head, (N, K') float32."""
    from bessemer.train.parity import run_graph

    return run_graph(model, {"features": X}, ["score"])[0]
