"""What the tests of several learners ask of them, each on data whose answer is known."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas

from bessemer.stats.calibration import sigmoid
from bessemer.testing.learners import callbacks, problem, rows
from bessemer.train.learner import Part, Problem
from bessemer.train.metrics import Metric
from bessemer.train.params import resolved

DATA = Path(__file__).parents[3] / "shared" / "data"


def fit(
    learner: Any,
    of: Problem,
    train: Part,
    valid: Part,
    workdir: Path,
    params: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Any:
    """A fit with the conformance suite's callbacks; `settings` are of those or of `Callbacks`."""
    known = ("rounds", "checkpoint", "early_stopping")
    place = callbacks(workdir, **{k: settings.pop(k) for k in known if k in settings})
    return learner().fit(of, train, valid, resolved(learner.PARAMS, params or {}), replace(place, **settings))


def table(name: str, target: str, part: str = "train", rows: int = 3000) -> Part:
    """The first rows of a real table; words become numbers in alphabetical order."""
    frame = pandas.read_csv(DATA / name / f"{part}.csv", nrows=rows)
    y = frame.pop(target)
    for column in frame:
        if not pandas.api.types.is_numeric_dtype(frame[column]):
            frame[column] = frame[column].astype("category").cat.codes
    y = y if pandas.api.types.is_numeric_dtype(y) else pandas.factorize(y, sort=True)[0]
    return Part(frame.to_numpy(np.float32), np.asarray(y, dtype=np.float64))


def check_weights(learner: Any, workdir: Path, params: Mapping[str, Any], **settings: Any) -> None:
    """Rows that contradict each other: the prediction is what their weights say, those of rows or of classes."""
    rng = np.random.default_rng(0)
    X = np.repeat(rng.integers(0, 4, (200, 3)), 2, axis=0).astype(np.float32)
    y = np.tile([0.0, 1.0], 200)
    weight = np.tile([1.0, 3.0], 200)
    empty = Part(X[:0], y[:0])
    binary, numbers = problem("binary"), problem("regression")
    by_class = replace(binary, weights=(1.0, 3.0))
    for n, (of, part) in enumerate(
        [(binary, Part(X, y, weight)), (by_class, Part(X, y)), (numbers, Part(X, y, weight))]
    ):
        margin = fit(learner, of, part, empty, workdir / str(n), params, **settings).margin(X)[:, 0]
        shares = margin if of.task == "regression" else sigmoid(margin)
        np.testing.assert_allclose(shares, 0.75, atol=0.2)
        assert abs(shares.mean() - 0.75) < 0.05


def check_monotone(
    learner: Any, of: Problem, workdir: Path, params: Mapping[str, Any], **settings: Any
) -> None:
    """The data are against the constraints; the model keeps them everywhere all the same."""
    rng = np.random.default_rng(1)
    X = rng.uniform(-2, 2, (800, 3)).astype(np.float32)
    X[rng.random(800) < 0.1, 1] = np.nan
    signal = np.sin(3 * X[:, 0]) + X[:, 2] ** 2 + rng.normal(size=800) * 0.2
    y = (signal > np.median(signal)).astype(np.float64) if of.task == "binary" else signal.astype(np.float64)
    bound = replace(of, monotone=(1, 0, -1))
    fitted = fit(learner, bound, Part(X, y), Part(X[:200], y[:200]), workdir / "bound", params, **settings)
    free = fit(learner, of, Part(X, y), Part(X[:200], y[:200]), workdir / "free", params, **settings)
    assert rises(fitted, X, 0) >= -1e-9
    assert rises(fitted, X, 2, sign=-1) >= -1e-9
    assert rises(free, X, 0) < -1e-3
    assert np.ptp(fitted.margin(X)) > 0.01


def rises(fitted: Any, X: np.ndarray, feature: int, sign: int = 1) -> float:
    """The smallest step of the margin along a feature, for some rows."""
    grid = np.linspace(-2.5, 2.5, 101, dtype=np.float32)
    found = []
    for row in X[:40]:
        line = np.tile(row, (len(grid), 1))
        line[:, feature] = grid
        found.append(np.diff(sign * fitted.margin(line)[:, 0]).min())
    return float(min(found))


def quantile_problem(quantile: float) -> Problem:
    return Problem("regression", 0, Metric("regression", "pinball", quantile), quantile=quantile)


def check_quantile(learner: Any, workdir: Path, params: Mapping[str, Any], **settings: Any) -> None:
    """About that share of the held-out values lies below, also where the spread depends on a feature."""
    train, valid, test = (spread(seed) for seed in range(3))
    for quantile in (0.1, 0.8):
        fitted = fit(
            learner, quantile_problem(quantile), train, valid, workdir / str(quantile), params, **settings
        )
        margin = fitted.margin(test.X)[:, 0]
        assert abs(np.mean(test.y <= margin) - quantile) < 0.05
        wide = test.X[:, 0] > 1.5
        assert abs(np.mean(test.y[wide] <= margin[wide]) - quantile) < 0.12


def spread(seed: int, n: int = 2000) -> Part:
    rng = np.random.default_rng(seed)
    X = rng.uniform(0, 2, (n, 3)).astype(np.float32)
    return Part(X, 100 + X[:, 1] + (0.2 + X[:, 0]) * rng.exponential(size=n))


def check_time_left(learner: Any, workdir: Path, most: int = 1, after: int = 5, **settings: Any) -> None:
    """Without time there is still a model; with time for some rounds, one of no more than those."""
    train, valid = rows("binary"), rows("binary", seed=1)
    at_once = fit(
        learner, problem("binary"), train, valid, workdir / "none", time_left=lambda: 0.0, **settings
    )
    assert 1 <= at_once.iterations <= most
    assert np.isfinite(at_once.margin(valid.X)).all()
    asked = iter(range(10_000))
    some = fit(
        learner,
        problem("binary"),
        train,
        valid,
        workdir / "some",
        time_left=lambda: 1e6 if next(asked) < after else -1.0,
        early_stopping=0,
        rounds=400,
        **settings,
    )
    assert at_once.iterations < some.iterations < 400


def summary(fitted: Any) -> str:
    """What must be the same: the bytes, the rounds, the curves."""
    from bessemer.core import canonical

    curves = {name: [list(point) for point in points] for name, points in fitted.curves.items()}
    return canonical.digest([fitted.native().content.hex(), fitted.iterations, curves, dict(fitted.params)])


def killed_fit(
    spec: str, task: Any, folder: str, at: int, params: dict[str, Any], patch: dict[str, dict[str, Any]]
) -> None:
    """In a child process: fit, and die by SIGKILL at a round (-1: never)."""
    import importlib
    import os

    for place, values in patch.items():
        for key, value in values.items():
            setattr(importlib.import_module(place), key, value)

    module, _, name = spec.partition(":")
    learner = getattr(importlib.import_module(module), name)

    def on_round(curve: str, step: int, value: float) -> None:
        if step == at and curve.startswith("valid"):
            os.kill(os.getpid(), signal.SIGKILL)

    settings = {"rounds": 40, "checkpoint": 10, "on_round": on_round}
    valid = rows(task, 300, 1)
    fitted = fit(learner, problem(task), rows(task, 400), valid, Path(folder), params, **settings)
    # What calibration sees are the margins: to the bit they are the same, too.
    print(summary(fitted), hashlib.sha256(fitted.margin(valid.X).tobytes()).hexdigest())


def check_killed(
    spec: str,
    task: str,
    tmp_path: Path,
    params: Mapping[str, Any],
    checkpoint: str,
    patch: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Killed twice and run again, a fit ends in what one that was never stopped gives."""

    def go(folder: str, at: int) -> subprocess.CompletedProcess[str]:
        call = (
            f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import learner_support as s; "
            f"s.killed_fit({spec!r}, {task!r}, {str(tmp_path / folder)!r}, {at}, {dict(params)!r}, "
            f"{dict(patch or {})!r})"
        )
        return subprocess.run(
            [sys.executable, "-c", call], capture_output=True, text=True, timeout=300, check=False
        )

    for at in (25, 37):
        killed = go("killed", at)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        assert list((tmp_path / "killed").glob(checkpoint))
    resumed, whole = go("killed", -1), go("whole", -1)
    assert resumed.returncode == 0, resumed.stderr
    assert resumed.stdout == whole.stdout
    assert resumed.stdout.strip()
