"""Learning curves: nested parts, the same every time, honest about what was left out."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from stage_support import NAMES, make_context, make_parts, put_inputs

from bessemer.train.calibrate import Calibration
from bessemer.train.growth import extrapolated
from bessemer.train.learner import Part, Problem
from bessemer.train.learning_curve import _Run, _subject
from bessemer.train.metrics import Metric
from bessemer.train.spec import LearningCurveSpec, TrainSpec
from bessemer.train.stage import run


def curve_of(
    folder: Path, task: str, parts: dict[str, Part] | None = None, **settings: Any
) -> tuple[Any, Any]:
    heard: list[tuple[str, Any]] = []
    ctx = make_context(folder, heard)
    inputs = put_inputs(ctx.store, task, parts or make_parts(task, 600), NAMES[task])
    spec = TrainSpec.model_validate_json(json.dumps({"rounds": 20, **settings}))
    made = run(spec, inputs, ctx)
    return ctx.store.get(made["history"]).json("history.json"), [d["text"] for k, d in heard if k == "note"]


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_more_rows_are_better_and_the_curve_says_how_much(tmp_path: Path, task: str) -> None:
    history, notes = curve_of(tmp_path, task, learner="lightgbm", learning_curve=["20%", "50%", "100%"])
    curve = history["learning_curve"]
    assert [point["rows"] for point in curve["points"]] == [120, 300, 600]
    assert [len(point["values"]) for point in curve["points"]] == [3, 3, 1]
    assert len(set(curve["points"][0]["values"])) == 3  # other rows each time
    assert (curve["learner"], curve["left_out"], curve["why"]) == ("lightgbm", [], None)
    assert curve["metric"] == history["leaderboard"][0]["metric"]
    first, last = curve["points"][0], curve["points"][-1]
    assert not curve["greater_is_better"]
    assert last["mean"] < first["mean"]
    for point in curve["points"]:
        assert point["low"] < point["mean"] < point["high"]
        assert point["mean"] == pytest.approx(np.mean(point["values"]))
    at = curve["extrapolation"]["at"]
    assert [row["rows"] for row in at] == [1200, 2400]
    assert at[1]["value"] <= at[0]["value"] <= last["mean"]
    assert at[0]["low"] < at[0]["value"] < at[0]["high"]
    assert any(text.startswith("twice the 600 rows would lower") for text in notes)


def test_all_rows_give_what_ships(tmp_path: Path) -> None:
    history, _ = curve_of(tmp_path, "binary", learner="linear", learning_curve=[0.5, 1.0])
    (shipped,) = [row for row in history["leaderboard"] if row["chosen"]]
    assert history["learning_curve"]["points"][-1]["mean"] == pytest.approx(shipped["value"], rel=1e-6)
    assert history["learning_curve"]["extrapolation"] is None  # two sizes are no law


@pytest.mark.slow
def test_the_model_is_the_same_with_and_without(tmp_path: Path) -> None:
    made = {}
    for name, curve in (("with", [0.5]), ("without", False)):
        ctx = make_context(tmp_path / name)
        inputs = put_inputs(ctx.store, "binary", make_parts("binary", 400), NAMES["binary"])
        spec = TrainSpec.model_validate_json(json.dumps({"rounds": 20, "learning_curve": curve}))
        made[name] = run(spec, inputs, ctx)
    assert made["with"]["model"].digest == made["without"]["model"].digest
    assert made["with"]["history"].digest != made["without"]["history"].digest


@pytest.mark.slow
def test_the_same_curve_every_time(tmp_path: Path) -> None:
    parts = make_parts("regression", 400)
    settings = {"learner": "lightgbm", "learning_curve": {"sizes": [0.3, 0.6], "repeats": 2}}
    (first, _), (second, _) = (curve_of(tmp_path / name, "regression", parts, **settings) for name in "ab")
    assert first["learning_curve"] == second["learning_curve"]


def test_what_does_not_fit_is_left_out_and_said(tmp_path: Path) -> None:
    history, _ = curve_of(tmp_path / "rows", "binary", learner="linear", learning_curve=["5%", "50%"])
    curve = history["learning_curve"]
    assert curve["left_out"] == [{"share": 0.05, "why": "30 rows are too few"}]
    assert [point["rows"] for point in curve["points"]] == [300]
    hurried = {"sizes": [0.2, 0.5, 1.0], "budget": 1e-9}
    history, _ = curve_of(tmp_path / "time", "binary", learner="linear", learning_curve=hurried)
    curve = history["learning_curve"]
    assert curve["points"] == []
    assert [row["why"] for row in curve["left_out"]] == [
        "no time for repeat 1 of 3",
        "no time for repeat 1 of 3",
        "no time for repeat 1 of 1",
    ]


def test_a_constant_and_no_validation_rows_are_refused_with_a_reason(tmp_path: Path) -> None:
    history, notes = curve_of(tmp_path / "constant", "binary", learner="constant", learning_curve=True)
    assert history["learning_curve"]["why"] == "a constant learns nothing from more rows"
    assert any("no learning curve" in text for text in notes)
    parts = make_parts("binary", 300)
    parts["valid"] = parts["valid"].take(np.arange(0))
    history, _ = curve_of(tmp_path / "valid", "binary", parts, learner="linear", learning_curve=True)
    assert "no validation rows" in history["learning_curve"]["why"]


def test_parts_are_nested_and_hold_every_class(tmp_path: Path) -> None:
    y = np.r_[np.zeros(900), np.ones(96), np.full(4, 2.0)]
    train = Part(np.zeros((1000, 1), dtype=np.float32), y)
    problem = Problem("multiclass", 3, Metric("multiclass", "log_loss"))
    ctx = make_context(tmp_path)
    made = _Run(LearningCurveSpec(), problem, None, train, train, train, None, ctx)  # type: ignore[arg-type]
    order = made._order(0)
    assert sorted(order.tolist()) == list(range(1000))
    for rows in (50, 100, 500):
        counts = np.bincount(y[order[:rows]].astype(int), minlength=3)
        assert counts[2] >= 1
        assert counts[1] == pytest.approx(0.096 * rows, abs=2)
    assert (order != made._order(1)).any()


def test_of_an_ensemble_the_best_plain_member_is_fitted_again() -> None:
    """Members that learnt the logarithm of the target or pairs of categories are more than their learner."""
    rows = [
        {"learner": "ensemble", "params": {}, "weight": 1.0},
        {"learner": "catboost, log target", "params": {}, "weight": 0.5},
        {"learner": "lightgbm", "params": {"pairs": 3}, "weight": 0.3},
        {"learner": "lightgbm (small leaves)", "params": {"num_leaves": 127, "unheard of": 1}, "weight": 0.2},
        {"learner": "linear", "params": {}, "weight": 0.0},
    ]
    chosen = SimpleNamespace(learner="ensemble", calibration=Calibration())
    outcome: Any = SimpleNamespace(leaderboard=rows, chosen=chosen)
    found = _subject(outcome)
    assert not isinstance(found, str)
    assert (found.name, found.learner, found.params["num_leaves"]) == (
        "lightgbm (small leaves)",
        "lightgbm",
        127,
    )
    assert "unheard of" not in found.params
    outcome.leaderboard = rows[:3]
    assert "no part of what ships" in _subject(outcome)


@pytest.mark.parametrize("name", ["log_loss", "roc_auc"])
def test_a_known_law_is_carried_on_within_its_interval(name: str) -> None:
    problem = Problem("binary", 2, Metric("binary", name))
    rows, rng = [200, 500, 1000, 2000], np.random.default_rng(0)
    error = 0.1 + 2 * np.array(rows) ** -0.5
    noise = rng.normal(size=(200, 1)) * 0.01 + rng.normal(size=(200, 4)) * 0.001
    value = 1 - error if name == "roc_auc" else error
    found = extrapolated(rows, value, value + noise, problem)
    assert found is not None
    wanted = 0.1 + 2 * 4000**-0.5
    twice = found["at"][0]
    assert twice["value"] == pytest.approx(1 - wanted if name == "roc_auc" else wanted, abs=0.001)
    assert twice["low"] < twice["value"] < twice["high"]
    assert twice["gain_low"] < error[-1] - wanted < twice["gain_high"]
    assert twice["gain_high"] - twice["gain_low"] < (twice["high"] - twice["low"]) / 2  # the gain is paired
    flat = extrapolated(rows, np.full(4, 0.5), 0.5 + 0 * noise, problem)
    assert flat is None


def test_a_quantile_is_judged_by_its_own_loss(tmp_path: Path) -> None:
    history, _ = curve_of(tmp_path, "regression", learner="lightgbm", quantile=0.9, learning_curve=[0.5, 1.0])
    assert history["learning_curve"]["metric"] == "pinball"
    assert history["learning_curve"]["points"][-1]["low"] > 0


def test_settings() -> None:
    def read(value: Any) -> Any:
        return TrainSpec.model_validate_json(json.dumps({"learning_curve": value})).learning_curve

    assert read(True) == LearningCurveSpec()
    assert read(False) is None
    assert read(["10%", 1.0]) == replace_sizes([0.1, 1.0])
    assert read({"sizes": [0.5], "budget": "2m"}).budget == 120
    for wrong in ([], [0], ["120%"], {"repeats": 0}):
        with pytest.raises(ValidationError):
            read(wrong)


def replace_sizes(sizes: list[float]) -> LearningCurveSpec:
    return LearningCurveSpec().model_copy(update={"sizes": sizes})
