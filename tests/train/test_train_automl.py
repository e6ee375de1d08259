"""AutoML as a whole: one graph that says what the members say, within the budget, also after a kill."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stage_support import make_context, put_inputs

from bessemer.core.errors import DataError
from bessemer.package.natives import open_native
from bessemer.testing.learners import callbacks, problem, rows
from bessemer.train.automl.bag import Workshop
from bessemer.train.automl.clock import Clock
from bessemer.train.automl.folds import Resampling, resample
from bessemer.train.automl.members import Member
from bessemer.train.automl.size import fitted_to_budget
from bessemer.train.checkpoint import Checkpoints
from bessemer.train.leaderboard import board
from bessemer.train.learner import Part
from bessemer.train.parity import run_graph
from bessemer.train.spec import TrainSpec
from bessemer.train.stage import run

QUICK = ["lightgbm", "xgboost", "catboost", "linear"]


def scores(model: Any, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the graph says, and what the native model says with the calibration."""
    feeds = {f"column {i}": X[:, i : i + 1] for i in range(X.shape[1])}
    (graph,) = run_graph(model.bytes("model.onnx"), feeds, ["score"])
    facts = model.json("model.json")
    native = open_native(facts["native"]["kind"], model.bytes(facts["native"]["file"]), 1)
    calibration = facts["calibration"]
    return graph, native.margin(X) * calibration["scale"] + calibration["offset"]


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_the_ensemble_is_one_graph_on_every_test_row(train_stage: Any, task: str) -> None:
    settings = {"budget": 8, "learners": QUICK, "search": "none"}
    model, history, emitted = train_stage(task, automl=settings, rounds=60)
    X = rows(task, 3000, seed=5).X  # type: ignore[arg-type]
    graph, native = scores(model, X)
    np.testing.assert_allclose(graph, native, rtol=1e-5, atol=1e-5)
    told = history.json("history.json")
    board = {row["learner"]: row for row in told["leaderboard"]}
    assert {"constant", "linear", "lightgbm", "xgboost", "catboost"} <= {n.split(",")[0] for n in board} | {
        skipped["learner"].split(",")[0] for skipped in told["automl"]["skipped"]
    }
    (chosen,) = [row for row in board.values() if row["chosen"]]
    sign = -1 if chosen["metric"] in ("log_loss", "rmse") else 1
    for floor in ("constant", "linear", "lightgbm"):
        assert sign * chosen["value"] >= sign * board[floor]["value"] - 1e-3
    assert chosen["low"] < chosen["value"] < chosen["high"]
    assert sum(told["automl"]["weights"].values()) == pytest.approx(1)
    assert any(kind == "note" and data["text"].startswith("ships ") for kind, data in emitted)


@pytest.mark.slow
def test_shapley_values_of_the_ensemble_add_up(train_stage: Any) -> None:
    model, _, _ = train_stage("binary", automl={"budget": 8, "learners": QUICK, "search": "none"}, rounds=40)
    X = rows("binary", 50, seed=9).X
    facts = model.json("model.json")
    native = open_native(facts["native"]["kind"], model.bytes(facts["native"]["file"]), 1)
    base, each = native.contributions(X)
    np.testing.assert_allclose(base + each.sum(axis=1), native.margin(X), atol=1e-6)


@pytest.mark.slow
def test_a_budget_too_small_for_anything_ships_the_floor_and_lists_the_rest(train_stage: Any) -> None:
    model, history, emitted = train_stage("regression", automl={"budget": 0.001, "learners": QUICK})
    told = history.json("history.json")
    left_out = {skipped["learner"]: skipped for skipped in told["automl"]["skipped"]}
    assert "catboost" in left_out
    assert left_out["catboost"]["why"] == "the budget was used"
    assert set(told["automl"]["weights"]) <= {"constant", "linear", "lightgbm"}
    assert any("the floor ships" in data["text"] for kind, data in emitted if kind == "warning")
    X = rows("regression", 200, seed=2).X
    np.testing.assert_allclose(*scores(model, X), rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_noise_ships_nothing_worse_than_the_constant(train_stage: Any) -> None:
    rng = np.random.default_rng(0)
    parts = {
        name: Part(rng.normal(size=(600, 7)).astype(np.float32), rng.integers(0, 2, 600).astype(np.float64))
        for name in ("train", "valid", "test")
    }
    settings = {"budget": 6, "learners": ["lightgbm", "linear"], "search": "none"}
    _, history, _ = train_stage("binary", parts=parts, automl=settings)
    board = {row["learner"]: row["value"] for row in history.json("history.json")["leaderboard"]}
    (chosen,) = [r for r in history.json("history.json")["leaderboard"] if r["chosen"]]
    assert chosen["value"] <= board["constant"] + 1e-9


@pytest.mark.slow
@pytest.mark.parametrize("budget", [5, 10])
def test_the_stage_ends_within_the_budget(train_stage: Any, budget: int) -> None:
    """Counted as the budget is, in CPU time where others have the machine; what is around it is measured."""
    begin = time.process_time()
    train_stage("regression", learner="constant", folder="around")
    around = time.process_time() - begin
    wall, cpu = time.monotonic(), time.process_time()
    train_stage("regression", automl={"budget": budget, "learners": QUICK})
    used = min(time.monotonic() - wall, time.process_time() - cpu)
    assert used <= budget * 1.05 + max(1.0, 10 * around)


@pytest.mark.slow
@pytest.mark.parametrize("searcher", ["tpe", "random", "grid", "hyperband", "asha", "cmaes", "population"])
def test_every_searcher_finds_trials(train_stage: Any, searcher: str) -> None:
    settings = {"budget": 600, "learners": ["lightgbm"], "search": searcher, "trials": 3, "folds": 2}
    _, history, _ = train_stage("regression", automl=settings, rounds=15)
    told = history.json("history.json")
    trials = [row for row in told["leaderboard"] if "#" in row["learner"]]
    pruned = 3 - len(trials)
    assert 0 <= pruned < 3
    assert len({json.dumps(row["params"], sort_keys=True) for row in trials}) == len(trials)


@pytest.mark.slow
def test_a_given_number_of_trials_ends_in_the_same_model_twice(train_stage: Any) -> None:
    settings = {"budget": 600, "learners": ["lightgbm"], "trials": 3, "folds": 3}
    first, second = (train_stage("binary", automl=settings, rounds=20, folder=f) for f in ("a", "b"))
    assert first[0].ref.digest == second[0].ref.digest


@pytest.mark.slow
def test_weights_monotone_and_quantile_reach_every_member(train_stage: Any) -> None:
    parts = {name: rows("regression", 900, seed) for seed, name in enumerate(("train", "valid", "test"))}
    settings = {"budget": 600, "learners": QUICK, "search": "none", "folds": 2}
    model, history, _ = train_stage(
        "regression", parts=parts, automl=settings, rounds=40, monotone={"column 0": "decreasing"}
    )
    skipped = {s["learner"]: s["why"] for s in history.json("history.json")["automl"]["skipped"]}
    assert skipped["linear"] == "has no monotone constraints"
    X = np.repeat(rows("regression", 40, seed=8).X, 30, axis=0)
    X[:, 0] = np.tile(np.linspace(-3, 3, 30, dtype=np.float32), 40)
    graph, _ = scores(model, X)
    assert np.all(np.diff(graph.reshape(40, 30), axis=1) <= 1e-4)
    model, history, _ = train_stage(
        "regression", parts=parts, automl=settings, rounds=60, quantile=0.9, folder="quantile"
    )
    assert model.json("model.json")["metric"] == "pinball"
    test = parts["test"]
    share = float(np.mean(test.y <= scores(model, test.X)[0][:, 0]))
    assert 0.85 < share < 0.95


def workshop(folder: Path, clock: Clock, folds: int = 3) -> tuple[Workshop, Callable[[int], Resampling]]:
    pool = rows("regression", 600)

    def refold(count: int) -> Resampling:
        return resample(pool, count, np.random.default_rng(0), classes=0)

    return Workshop(problem("regression"), refold(folds), callbacks(folder, rounds=20), clock), refold


def test_a_run_that_goes_on_keeps_its_folds_and_what_is_finished(tmp_path: Path) -> None:
    """However little of the budget is left: the folds are cut once, and finished ones are not too late."""
    member = Member("lightgbm", "lightgbm")
    ctx = make_context(tmp_path)
    shop, refold = workshop(tmp_path / "fits", Clock(600.0))
    first = fitted_to_budget(shop, member, refold, ctx).fit(member)
    assert len(first.folds) == 3
    late, refold = workshop(tmp_path / "fits", Clock(600.0, spent=599.9))
    again = fitted_to_budget(late, member, refold, ctx)
    np.testing.assert_array_equal(again.fit(member).margins, first.margins)


def test_a_fold_that_fails_is_told_and_the_others_are_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fit(self: Any, problem: Any, train: Part, *_: Any) -> None:
        raise RuntimeError("could not allocate\nmore words")

    monkeypatch.setattr("bessemer.train.learners.lightgbm.LightGBM.fit", fit)
    shop, _ = workshop(tmp_path / "fits", Clock(600.0))
    with pytest.raises(DataError, match=r"lightgbm failed: could not allocate$"):
        shop.fit(Member("lightgbm", "lightgbm"))


def test_few_rows_judge_where_few_rows_learn(tmp_path: Path) -> None:
    """A budget for a thousand rows is not spent on judging the others; every class stays."""
    shop, _ = workshop(tmp_path / "fits", Clock(600.0))
    y = np.zeros(600)
    y[:3] = 1
    pool = Part(shop.resampling.pool.X, y)
    shop = replace(
        shop, problem=problem("binary"), resampling=resample(pool, 3, np.random.default_rng(0), classes=2)
    )
    (tmp_path / "fits").mkdir(exist_ok=True)
    Checkpoints(tmp_path / "fits" / "size.npz", "conformance").save({"folds": 1, "rows": 50}, {})
    small = fitted_to_budget(
        shop, Member("lightgbm", "lightgbm"), lambda n: shop.resampling, make_context(tmp_path)
    )
    (fold,) = small.resampling.folds
    assert len(fold.learn) == pytest.approx(50, abs=2)
    assert len(fold.judge) == pytest.approx(50, abs=2)
    assert set(y[fold.learn]) == set(y[fold.judge]) == {0.0, 1.0}


@pytest.mark.slow
def test_the_grid_is_walked_once(train_stage: Any) -> None:
    settings = {"budget": 600, "learners": ["lightgbm"], "search": "grid", "trials": 40, "folds": 2}
    _, history, _ = train_stage("regression", automl=settings, rounds=3)
    trials = [row for row in history.json("history.json")["leaderboard"] if "#" in row["learner"]]
    assert len({json.dumps(row["params"], sort_keys=True) for row in trials}) == len(trials) == 40


@pytest.mark.slow
def test_a_student_has_its_times_on_the_leaderboard(tmp_path: Path) -> None:
    ctx = make_context(tmp_path)
    inputs = put_inputs(
        ctx.store, "regression", {n: wavy(i) for i, n in enumerate(("train", "valid", "test"))}, []
    )
    automl = {"budget": 600, "learners": QUICK, "search": "none", "folds": 2, "distill": "lightgbm"}
    out = run(TrainSpec.model_validate({"automl": automl, "rounds": 40}), inputs, ctx)
    history, timings = (ctx.open(out[name]).json(f"{name}.json") for name in ("history", "timings"))
    for row in board(history, timings)["rows"]:
        assert row["fit_seconds"] >= 0, row["learner"]
        assert not row.get("weight") or row["chosen"], "what does not ship has no weight"


def test_a_student_has_to_keep_what_the_project_promises() -> None:
    for promise in ({"monotone": {"x": "increasing"}}, {"quantile": 0.9}):
        student = "mlp" if "monotone" in promise else "random_forest"
        with pytest.raises(ValueError, match=student):
            TrainSpec.model_validate({"automl": {"distill": student}, **promise})


def wavy(seed: int) -> Part:
    """Nothing that a linear model could learn, with noise that a student is spared."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(1500, 7)).astype(np.float32)
    return Part(X, np.sin(3 * X[:, 0]) * X[:, 1] + rng.normal(size=1500))


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_distilled_model_is_one_small_model(train_stage: Any, task: str) -> None:
    settings = {"budget": 600, "learners": QUICK, "search": "none", "folds": 2, "distill": "lightgbm"}
    parts = {name: wavy(seed) for seed, name in enumerate(("train", "valid", "test"))}
    given = {"parts": parts} if task == "regression" else {}
    model, history, emitted = train_stage(task, automl=settings, rounds=60, **given)
    told = history.json("history.json")
    board, distilled = told["leaderboard"], told["automl"]["distilled"]
    (chosen,) = [row for row in board if row["chosen"]]
    assert chosen["learner"] == model.meta["learner"] == "lightgbm, distilled"
    assert chosen["value"] == distilled["student"]
    assert distilled["ensemble"] < 1.1 * distilled["student"], "both are told, on the same rows"
    assert any("where the ensemble has" in data["text"] for kind, data in emitted if kind == "note")
    ensemble = next((row for row in board if row["learner"] == "ensemble"), None)
    assert ensemble is None or chosen["bytes"] < ensemble["bytes"]
    floor = next(row for row in board if row["learner"] == "constant")
    assert chosen["value"] < floor["value"]  # log loss or rmse
    X = rows(task, 500, seed=5).X  # type: ignore[arg-type]
    np.testing.assert_allclose(*scores(model, X), rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_killed_on_the_way_it_goes_on_and_ends_the_same(tmp_path: Path) -> None:
    """Finished folds and trials are taken up again: the killed run's model is the undisturbed one's."""
    script = tmp_path / "child.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import sys
            from pathlib import Path
            sys.path.insert(0, {str(Path(__file__).parent)!r})
            from stage_support import NAMES, make_context, make_parts, put_inputs
            from bessemer.train.spec import TrainSpec
            from bessemer.train.stage import run
            ctx = make_context(Path(sys.argv[1]))
            inputs = put_inputs(ctx.store, "binary", make_parts("binary"), NAMES["binary"])
            spec = TrainSpec(rounds=60, automl={{"budget": 600, "learners": ["lightgbm", "xgboost"], "trials": 4}})
            found = run(spec, inputs, ctx)
            print(found["model"].digest, found["history"].digest)
            """
        )
    )

    def start(folder: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(script), str(tmp_path / folder)], stdout=subprocess.PIPE, text=True
        )

    expected, _ = start("calm").communicate(timeout=1200)
    work = tmp_path / "killed" / "work"
    for folds in (2, 9, 17):
        child = start("killed")
        deadline = time.monotonic() + 600
        while len(list(work.glob("fold-*.npz"))) < folds and child.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        child.send_signal(signal.SIGKILL)
        child.wait()
        if child.stdout:
            child.stdout.close()
    before = {path: path.stat().st_mtime_ns for path in work.glob("fold-*.npz")}
    assert before
    found, _ = start("killed").communicate(timeout=1200)
    assert found == expected
    assert [p for p, stamp in before.items() if p.exists() and p.stat().st_mtime_ns == stamp]
