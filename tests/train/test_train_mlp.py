"""The neural network: torch and graph agree, schedules, weights, quantiles, time, kills, explanations."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from learner_support import (
    check_killed,
    check_quantile,
    check_time_left,
    check_weights,
    fit,
    quantile_problem,
    summary,
    table,
)

from bessemer.package.natives import open_native
from bessemer.package.shapley import estimated_shapley
from bessemer.stats.calibration import softmax
from bessemer.testing.learners import callbacks, check_learner, problem, rows, run_head
from bessemer.train.learner import Part
from bessemer.train.learners.mlp import MLP
from bessemer.train.native_model import restored
from bessemer.train.params import Param, resolved

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.usefixtures("one_thread")
TASKS = pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
#: A small network for a few epochs; what is tested does not depend on how well it learns.
QUICK = {"epochs": 8, "hidden_layers": 2, "hidden_size": 32, "batch_size": 64}


class Quick(MLP):
    """The same learner, in a hurry."""

    PARAMS: ClassVar[dict[str, Param]] = {
        **MLP.PARAMS,
        **{name: Param(value, type(value), "quick") for name, value in QUICK.items()},
    }


def training(of: Any, train: Part, valid: Part, workdir: Path, params: dict[str, Any]) -> Any:
    """A training that was run, with torch's own network in it."""
    from bessemer.train.learners.mlp_train import Training, _chosen

    chosen = _chosen(of, len(train), resolved(MLP.PARAMS, params))
    found = Training(of, train, valid, chosen, callbacks(workdir))
    found.run()
    return found


def strange(X: np.ndarray) -> np.ndarray:
    """Rows with values that nobody has seen."""
    X = X.copy()
    X[0] = np.nan
    X[1], X[2] = np.inf, -np.inf
    X[3], X[4] = 3.4e38, -3.4e38
    X[5], X[6] = 1e-30, 1e6
    return X


@pytest.mark.slow
@TASKS
def test_it_conforms(task: Any, tmp_path: Path) -> None:
    check_learner(Quick, task, tmp_path)


@pytest.mark.parametrize(
    ("task", "settings"),
    [
        ("binary", {}),
        ("multiclass", {"activation": "silu", "embedding": "none"}),
        ("regression", {}),
        ("regression", {"activation": "relu"}),
    ],
)
def test_the_graph_says_what_torch_says(task: Any, settings: dict[str, Any], tmp_path: Path) -> None:
    train, valid = rows(task), rows(task, 300, 1)
    found = training(problem(task), train, valid, tmp_path, {**QUICK, **settings})
    model = found.model()
    X = strange(rows(task, 400, 2).X)
    own = found.margin(found.scaling.apply(X))
    size = max(1.0, float(np.std(train.y))) if task == "regression" else 1.0
    for twin in (run_head(model.to_onnx(), X), model.margin(X)):
        assert np.max(np.abs(twin - own) / np.maximum(size, np.abs(own))) < 1e-5
    np.testing.assert_array_equal(model.margin(X[:1]).shape, (1, own.shape[1]))


@pytest.mark.slow
def test_a_target_of_any_size_and_place(tmp_path: Path) -> None:
    """Standardised and turned back: predictions lie between the least and the greatest of training."""
    part = rows("regression")
    for scale, shift in ((1e-6, 0.0), (1e9, 0.0), (1.0, 1e6)):
        of = Part(part.X, (part.y - 1000) * scale + shift)
        found = training(
            problem("regression"), of, of, tmp_path / str(scale + shift), {**QUICK, "epochs": 30}
        )
        model = found.model()
        margin, own = model.margin(part.X)[:, 0], found.margin(found.scaling.apply(part.X))[:, 0]
        assert np.max(np.abs(margin - own)) < 1e-5 * max(np.std(of.y), np.abs(shift))
        assert np.corrcoef(margin, of.y)[0, 1] > 0.8
        assert margin.min() >= np.float32(of.y.min())
        assert margin.max() <= np.float32(of.y.max())


@pytest.mark.slow
def test_a_missing_value_can_say_something(tmp_path: Path) -> None:
    """Which is more than its feature's median says."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1500, 2)).astype(np.float32)
    X[rng.random(1500) < 0.4, 0] = np.nan
    y = np.where(rng.random(1500) < 0.1, rng.random(1500) < 0.5, np.isnan(X[:, 0])).astype(np.float64)
    train, test = Part(X[:1000], y[:1000]), Part(X[1000:], y[1000:])
    fitted = fit(MLP, problem("binary"), train, test, tmp_path, {**QUICK, "epochs": 30})
    assert np.mean((fitted.margin(test.X)[:, 0] > 0) == test.y) > 0.9
    each = fitted.contributions(test.X[:50])[:, 0]
    assert np.abs(each[:, 0]).mean() > 5 * np.abs(each[:, 1]).mean()


@pytest.mark.parametrize("count", [1, 3])
@TASKS
def test_few_rows(task: Any, count: int, tmp_path: Path) -> None:
    part = rows(task).take(np.arange(count))
    for valid in (part, part.take(np.arange(0))):
        fitted = fit(MLP, problem(task), part, valid, tmp_path / str(len(valid)), QUICK)
        assert np.isfinite(fitted.margin(strange(rows(task, 20).X))).all()


@pytest.mark.slow
def test_wide_tables(tmp_path: Path) -> None:
    """Thousands of features enter without waves."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 3000)).astype(np.float32)
    y = (X[:, :3].sum(axis=1) > 0).astype(np.float64)
    fitted = fit(MLP, problem("binary"), Part(X, y), Part(X[:50], y[:50]), tmp_path, QUICK)
    assert len(fitted.native().content) < 4 * 3000 * 40


def test_an_untrained_network_says_the_prior(tmp_path: Path) -> None:
    of, part = problem("multiclass"), rows("multiclass")
    fitted = fit(MLP, of, part, part, tmp_path, {**QUICK, "learning_rate": 1e-6, "epochs": 1})
    share = softmax(fitted.margin(part.X))
    np.testing.assert_allclose(share.mean(axis=0), np.bincount(part.y.astype(int)) / len(part), atol=1e-3)


@pytest.mark.slow
def test_a_training_that_runs_away_ends_at_what_was_good(tmp_path: Path) -> None:
    part = rows("regression")
    for valid in (part, part.take(np.arange(0))):
        found = training(problem("regression"), part, valid, tmp_path / str(len(valid)), QUICK)
        good = found.model().margin(part.X)
        with torch.no_grad():
            found.net.biases[0].fill_(float("nan"))
        found.state.finished = False
        found._judge()
        assert found.state.finished
        np.testing.assert_array_equal(found.model().margin(part.X), good)


def test_the_best_epoch_ships(tmp_path: Path) -> None:
    train, valid = rows("binary", 300), rows("binary", 300, 1)
    fitted = fit(MLP, problem("binary"), train, valid, tmp_path, {**QUICK, "epochs": 40, "dropout": 0.0})
    curve = dict(fitted.curves["valid_log_loss"])
    assert fitted.iterations == min(curve, key=lambda epoch: curve[epoch])
    from bessemer.train.metrics import output_of

    value = problem("binary").metric(valid.y, output_of("binary", fitted.margin(valid.X)))
    assert value == pytest.approx(curve[fitted.iterations], rel=1e-5)


def test_smoothing_of_labels_depends_on_the_metric(tmp_path: Path) -> None:
    part = rows("binary", 100)
    of = {
        name: fit(MLP, problem("binary", name), part, part, tmp_path / name, QUICK)
        for name in ("accuracy", "roc_auc")
    }
    assert of["accuracy"].params["label_smoothing"] == 0.1
    assert of["roc_auc"].params["label_smoothing"] == 0.0


@pytest.mark.slow
def test_weights_count(tmp_path: Path) -> None:
    check_weights(MLP, tmp_path, {**QUICK, "epochs": 20, "learning_rate": 0.02}, rounds=100)


def test_a_weight_of_two_is_a_row_twice(tmp_path: Path) -> None:
    """In what is learnt of numbers and classes before the first step: prior, mean and spread."""
    from bessemer.train.learners.mlp_train import Target

    part = rows("regression", 200)
    twice = np.arange(200) < 50
    weighted = Target.of(problem("regression"), replace(part, weight=1.0 + twice))
    doubled = Target.of(
        problem("regression"), part.take(np.concatenate([np.arange(200), np.flatnonzero(twice)]))
    )
    assert weighted.scale == pytest.approx(doubled.scale)
    assert float(weighted.weight.mean()) == pytest.approx(1)


@pytest.mark.slow
def test_quantiles(tmp_path: Path) -> None:
    check_quantile(MLP, tmp_path, {**QUICK, "epochs": 40, "batch_size": 128}, rounds=100)


def test_a_quantile_starts_at_the_quantile(tmp_path: Path) -> None:
    part = rows("regression")
    params = {**QUICK, "learning_rate": 1e-6, "epochs": 1}
    fitted = fit(MLP, quantile_problem(0.9), part, part, tmp_path, params)
    assert np.mean(part.y <= fitted.margin(part.X)[:, 0]) == pytest.approx(0.9, abs=0.01)


class Clock:
    """Of the schedule: it is asked at every step, each of which takes about a millisecond."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self._pace = 0.0, np.random.default_rng(0)
        monkeypatch.setattr("bessemer.train.learners.mlp_schedule.time", self)

    def monotonic(self) -> float:
        self.now += self._pace.uniform(0.0005, 0.0015)
        return self.now


@pytest.mark.slow
def test_it_ends_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_time_left(MLP, tmp_path, after=50, params=None)
    clock, train = Clock(monkeypatch), rows("multiclass", 3000)
    fitted = fit(
        MLP, problem("multiclass"), train, train, tmp_path / "timed", {"epochs": 5000}, rounds=5000,
        time_left=lambda: 0.2 - clock.now,
    )  # fmt: skip
    assert 0.1 < clock.now < 0.21
    assert np.isfinite(fitted.margin(train.X)).all()


def test_the_learning_rate_comes_down_before_the_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    from bessemer.train.learners.mlp_schedule import Progress

    clock, progress = Clock(monkeypatch), Progress(total=10**9, per_epoch=20)
    progress.begin(lambda: 0.3 - clock.now)
    while not progress.finished and not progress.out_of_time:
        progress.advance()
    assert progress.at > 0.97
    assert progress.rate < 0.05


def test_threads_do_not_change_the_model(tmp_path: Path) -> None:
    part, found = rows("regression"), set()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        found.add(
            summary(
                fit(MLP, problem("regression"), part, part, tmp_path / str(threads), QUICK, threads=threads)
            )
        )
    assert len(found) == 1


def test_the_state_of_torch_is_left_alone_and_does_not_matter(tmp_path: Path) -> None:
    part = rows("binary", 200)
    torch.manual_seed(1)
    expected = torch.rand(3)
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        found.append(summary(fit(MLP, problem("binary"), part, part, tmp_path / str(seed), QUICK)))
        if seed == 1:
            assert torch.equal(torch.rand(3), expected)
    assert found[0] == found[1]


@pytest.mark.slow
def test_adamw_is_torchs() -> None:
    from bessemer.train.learners.mlp_adam import AdamW

    torch.manual_seed(0)
    start = [torch.randn(4, 3), torch.randn(5)]
    ours, theirs = ([torch.nn.Parameter(v.clone()) for v in start] for _ in range(2))
    own = AdamW({"weight": ours[:1], "bias": ours[1:]})
    reference = torch.optim.AdamW(
        [
            {"params": theirs[:1], "lr": 0.1, "weight_decay": 0.2},
            {"params": theirs[1:], "lr": 0.01, "weight_decay": 0.0},
        ],
        betas=(0.9, 0.95),
    )
    for step in range(5):
        for parameters in (ours, theirs):
            sum((p**2 * (i + step + 1)).sum() for i, p in enumerate(parameters)).backward()
        own.step(lambda k: {"weight": 0.1, "bias": 0.01}[k], lambda k: {"weight": 0.2, "bias": 0.0}[k])
        reference.step()
        reference.zero_grad()
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def test_contributions_are_shapley_values_against_the_medians(tmp_path: Path) -> None:
    part = rows("binary")
    few = Part(np.ascontiguousarray(part.X[:, [0, 1, 5]]), part.y)
    fitted = fit(MLP, problem("binary"), few, few, tmp_path, {**QUICK, "epochs": 20})
    native = fitted.native()
    model = open_native(native.kind, native.content, 1)
    medians = np.nanmedian(few.X, axis=0).astype(np.float32)
    base, each = model.contributions(few.X[:30])
    np.testing.assert_allclose(base, model.margin(np.tile(medians, (30, 1))), atol=1e-5)
    assert (each[:, 0][few.X[:30, 0] == medians[0]] == 0).all()
    exact = estimated_shapley(fitted.margin, few.X[:30], medians)
    assert (exact.error == 0).all()
    np.testing.assert_allclose(each, exact.each, atol=1e-5)


@pytest.mark.slow
def test_what_a_killed_run_had_finished_needs_no_torch(tmp_path: Path) -> None:
    part = rows("multiclass")
    fitted = fit(MLP, problem("multiclass"), part, part, tmp_path, QUICK)
    (tmp_path / "head").write_bytes(fitted.native().content)
    np.save(tmp_path / "X.npy", part.X)
    np.save(tmp_path / "margin.npy", fitted.margin(part.X))
    program = (
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] == 'torch':\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Missing())\n"
        "import numpy as np\n"
        "from pathlib import Path\n"
        "from bessemer.train.learner import Native\n"
        "from bessemer.train.native_model import restored\n"
        "model = restored(Native('head', 'mlp.head', Path('head').read_bytes()), {}, 1, {})\n"
        "np.testing.assert_array_equal(model.margin(np.load('X.npy')), np.load('margin.npy'))\n"
        "assert model.contributions(np.load('X.npy')[:5]).shape == (5, 4, 8)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    again = restored(fitted.native(), fitted.params, fitted.iterations, fitted.curves)
    assert summary(again) == summary(fitted)


@pytest.mark.slow
def test_it_learns_a_real_table(tmp_path: Path) -> None:
    """Better than a straight line, and not far from boosted trees."""
    from bessemer.train.learners.lightgbm import LightGBM
    from bessemer.train.learners.linear import Linear

    of = table("california", "median_house_value", rows=6000)
    train, valid, test = (of.take(np.arange(*part)) for part in ((0, 3000), (3000, 3500), (3500, 6000)))
    error = {
        learner.NAME: np.sqrt(np.mean((fit(
            learner, problem("regression"), train, valid, tmp_path / learner.NAME, params, rounds=300
        ).margin(test.X)[:, 0] - test.y) ** 2))
        for learner, params in ((MLP, {"epochs": 24, "hidden_size": 128}), (LightGBM, {}), (Linear, {}))
    }  # fmt: skip
    assert error["mlp"] < 0.9 * error["linear"]
    assert error["mlp"] < 1.15 * error["lightgbm"]


@pytest.mark.slow
def test_a_killed_fit_gives_the_same_model(tmp_path: Path) -> None:
    params = {**QUICK, "epochs": 40}
    check_killed("bessemer.train.learners.mlp:MLP", "multiclass", tmp_path, params, "mlp.npz")


def test_a_fit_stopped_within_an_epoch_goes_on(tmp_path: Path) -> None:
    """From a checkpoint in the middle of an epoch, which slow epochs have."""
    from bessemer.train.learners.mlp_train import Training, _chosen

    of, part = problem("binary"), rows("binary", 400)
    chosen = _chosen(of, len(part), resolved(MLP.PARAMS, QUICK))
    whole = Training(of, part, part, chosen, callbacks(tmp_path / "whole"))
    whole.run()
    stopped = Training(of, part, part, chosen, callbacks(tmp_path / "stopped"))
    stopped._begin()
    stopped.progress.begin(lambda: float("inf"))
    for _ in range(3):
        stopped._step(stopped._order(0))
    stopped._save()
    again = Training(of, part, part, chosen, callbacks(tmp_path / "stopped"))
    again.run()
    assert summary(again.model()) == summary(whole.model())
