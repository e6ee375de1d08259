"""AutoML as a whole: one graph that says what the members say, within the budget, also after a kill."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bessemer.package.natives import open_native
from bessemer.testing.learners import rows
from bessemer.train.learner import Part
from bessemer.train.parity import run_graph

QUICK = ["lightgbm", "xgboost", "catboost", "linear"]


def scores(model: Any, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the graph says, and what the native model says with the calibration."""
    feeds = {f"column {i}": X[:, i : i + 1] for i in range(X.shape[1])}
    (graph,) = run_graph(model.bytes("model.onnx"), feeds, ["score"])
    facts = model.json("model.json")
    native = open_native(facts["native"]["kind"], model.bytes(facts["native"]["file"]), 1)
    calibration = facts["calibration"]
    return graph, native.margin(X) * calibration["scale"] + calibration["offset"]


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


def test_shapley_values_of_the_ensemble_add_up(train_stage: Any) -> None:
    model, _, _ = train_stage("binary", automl={"budget": 8, "learners": QUICK, "search": "none"}, rounds=40)
    X = rows("binary", 50, seed=9).X
    facts = model.json("model.json")
    native = open_native(facts["native"]["kind"], model.bytes(facts["native"]["file"]), 1)
    base, each = native.contributions(X)
    np.testing.assert_allclose(base + each.sum(axis=1), native.margin(X), atol=1e-6)


def test_a_budget_too_small_for_anything_ships_the_floor_and_lists_the_rest(train_stage: Any) -> None:
    model, history, emitted = train_stage("regression", automl={"budget": 0.5, "learners": QUICK})
    told = history.json("history.json")
    left_out = {skipped["learner"]: skipped for skipped in told["automl"]["skipped"]}
    assert "catboost" in left_out
    assert left_out["catboost"]["why"] == "the budget was used"
    assert set(told["automl"]["weights"]) <= {"constant", "linear", "lightgbm"}
    assert any("the floor ships" in data["text"] for kind, data in emitted if kind == "warning")
    X = rows("regression", 200, seed=2).X
    np.testing.assert_allclose(*scores(model, X), rtol=1e-5, atol=1e-5)


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


@pytest.mark.parametrize("budget", [5, 10])
def test_the_stage_ends_within_the_budget(train_stage: Any, budget: int) -> None:
    """Counted as the budget is: the lesser of wall and CPU time, so that a busy machine decides nothing."""
    wall, cpu = time.monotonic(), time.process_time()
    train_stage("regression", automl={"budget": budget, "learners": QUICK})
    used = min(time.monotonic() - wall, time.process_time() - cpu)
    assert used <= budget * 1.05 + 1.0  # a second for reading and storing the artifacts around it


@pytest.mark.parametrize("searcher", ["tpe", "random", "grid", "hyperband", "asha", "cmaes", "population"])
def test_every_searcher_finds_trials(train_stage: Any, searcher: str) -> None:
    settings = {"budget": 60, "learners": ["lightgbm"], "search": searcher, "trials": 3, "folds": 2}
    _, history, _ = train_stage("regression", automl=settings, rounds=15)
    told = history.json("history.json")
    trials = [row for row in told["leaderboard"] if "#" in row["learner"]]
    pruned = 3 - len(trials)
    assert 0 <= pruned < 3
    assert len({json.dumps(row["params"], sort_keys=True) for row in trials}) == len(trials)


def test_a_given_number_of_trials_ends_in_the_same_model_twice(train_stage: Any) -> None:
    settings = {"budget": 600, "learners": ["lightgbm"], "trials": 3, "folds": 3}
    first, second = (train_stage("binary", automl=settings, rounds=20, folder=f) for f in ("a", "b"))
    assert first[0].ref.digest == second[0].ref.digest


def test_weights_monotone_and_quantile_reach_every_member(train_stage: Any) -> None:
    parts = {name: rows("regression", 900, seed) for seed, name in enumerate(("train", "valid", "test"))}
    settings = {"budget": 60, "learners": QUICK, "search": "none", "folds": 2}
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


def wavy(seed: int) -> Part:
    """Nothing that a linear model could learn, with noise that a student is spared."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(1500, 7)).astype(np.float32)
    return Part(X, np.sin(3 * X[:, 0]) * X[:, 1] + rng.normal(size=1500))


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_distilled_model_is_one_small_model(train_stage: Any, task: str) -> None:
    settings = {"budget": 60, "learners": QUICK, "search": "none", "folds": 2, "distill": "lightgbm"}
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
            print(run(spec, inputs, ctx)["model"].digest)
            """
        )
    )

    def start(folder: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(script), str(tmp_path / folder)], stdout=subprocess.PIPE, text=True
        )

    expected, _ = start("calm").communicate(timeout=300)
    work = tmp_path / "killed" / "work"
    for folds in (2, 9, 17):
        child = start("killed")
        deadline = time.monotonic() + 120
        while len(list(work.glob("fold-*.npz"))) < folds and child.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        child.send_signal(signal.SIGKILL)
        child.wait()
        if child.stdout:
            child.stdout.close()
    before = {path: path.stat().st_mtime_ns for path in work.glob("fold-*.npz")}
    assert before
    found, _ = start("killed").communicate(timeout=300)
    assert found == expected
    assert [p for p, stamp in before.items() if p.exists() and p.stat().st_mtime_ns == stamp]
