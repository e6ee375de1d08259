"""The train stage: what it stores, and that the graph says what the model says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from bessemer.core.errors import DataError, ProjectError
from bessemer.core.signature import Signature
from bessemer.package.trees.codec import decode
from bessemer.testing.learners import rows
from bessemer.train.learner import Part
from bessemer.train.parity import run_graph


def predict(model: Any, X: np.ndarray) -> dict[str, np.ndarray]:
    data = model.bytes("model.onnx")
    feeds = {f"column {i}": X[:, i : i + 1] for i in range(X.shape[1])}
    names = [o.name for o in onnx.load_model_from_string(data).graph.output]
    return dict(zip(names, run_graph(data, feeds, names), strict=True))


@pytest.mark.parametrize("learner", ["auto", "lightgbm", "linear", "constant"])
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_the_graph_keeps_the_interface(train_stage: Any, task: str, learner: str) -> None:
    model, history, _ = train_stage(task, learner=learner, rounds=40)
    X = rows(task, 300, seed=5).X  # type: ignore[arg-type]
    made = predict(model, X)
    signature = Signature.from_json(model.json("signature.json"))
    assert [f.name for f in signature.outputs] == [name for name in made if name != "features"]
    for field in signature.outputs:
        assert made[field.name].shape == (300, *field.shape)
    calibration = model.json("model.json")["calibration"]
    if task == "regression":
        np.testing.assert_array_equal(made["prediction"], made["score"][:, 0])
        assert calibration == {"method": "none", "offset": 0.0, "scale": 1.0}
    else:
        probability, labels = made["probability"], np.array(signature.classes)
        np.testing.assert_allclose(probability.sum(axis=1), 1, atol=1e-6)
        said = probability[:, 1] >= 0.5 if task == "binary" else probability.argmax(axis=1)
        np.testing.assert_array_equal(made["prediction"], labels[np.asarray(said, dtype=int)])
    kind = model.json("model.json")["native"]
    assert kind["file"] in model.files
    assert kind["kind"] == {"lightgbm": "trees"}.get(model.meta["learner"], model.meta["learner"])
    board = history.json("history.json")["leaderboard"]
    assert [row["learner"] for row in board if row["chosen"]] == [model.meta["learner"]]
    assert {"constant", "linear"} <= {row["learner"] for row in board}


def test_probability_is_the_sigmoid_of_the_calibrated_score(train_stage: Any) -> None:
    model, _, _ = train_stage("binary", learner="lightgbm", rounds=30, class_weight={"yes": 9.0})
    X = rows("binary", 300, seed=5).X
    made = predict(model, X)
    calibration = model.json("model.json")["calibration"]
    assert calibration["method"] == "sigmoid"  # the weights moved the probabilities, which calibration mends
    assert calibration["offset"] < 0
    np.testing.assert_allclose(made["probability"][:, 1], 1 / (1 + np.exp(-made["score"][:, 0])), atol=1e-6)
    native = decode(model.bytes("native/trees.bin")).margin(X)[:, 0]
    expected = native * calibration["scale"] + calibration["offset"]
    np.testing.assert_allclose(made["score"][:, 0], expected, atol=1e-5)


def test_the_value_features_is_in_the_graph_under_its_name(train_stage: Any) -> None:
    model, _, _ = train_stage("binary", learner="constant")
    graph = onnx.load_model_from_string(model.bytes("model.onnx"))
    graph.graph.output.append(onnx.helper.make_tensor_value_info("features", 1, ["N", 7]))
    X = rows("binary", 20).X
    feeds = {f"column {i}": X[:, i : i + 1] for i in range(7)}
    np.testing.assert_array_equal(run_graph(graph, feeds, ["features"])[0], X)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_baselines_take_features_and_give_the_outputs(train_stage: Any, task: str) -> None:
    model, _, _ = train_stage(task, learner="linear")
    X = rows(task, 50, seed=3).X  # type: ignore[arg-type]
    outputs = [f.name for f in Signature.from_json(model.json("signature.json")).outputs]
    whole = predict(model, X)
    linear = run_graph(model.bytes("baselines/linear.onnx"), {"features": X}, outputs)
    for name, value in zip(outputs, linear, strict=True):
        np.testing.assert_array_equal(value, whole[name])
    constant = run_graph(model.bytes("baselines/constant.onnx"), {"features": X}, ["score"])[0]
    assert (constant == constant[0]).all()


@pytest.mark.parametrize(
    ("classes", "dtype", "expected"),
    [
        ([False, True], np.bool_, {False, True}),
        ([0, 1], np.int64, {0, 1}),
        ([1.0, 2.0], np.int64, {1, 2}),
        ([0.5, 1.5], object, {"0.5", "1.5"}),
        (["nein", "ja ✓"], object, {"nein", "ja ✓"}),
    ],
)
def test_a_prediction_has_the_type_of_the_class(
    train_stage: Any, classes: list[Any], dtype: type, expected: set[Any]
) -> None:
    model, _, _ = train_stage("binary", classes=classes, learner="linear")
    made = predict(model, rows("binary", 200, seed=5).X)["prediction"]
    assert made.dtype == dtype
    assert set(made.tolist()) == expected
    assert set(Signature.from_json(model.json("signature.json")).classes) == expected


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_the_same_inputs_give_the_same_bytes(train_stage: Any, task: str) -> None:
    first, second = (train_stage(task, folder=name, rounds=30) for name in ("a", "b"))
    assert first[0].ref.digest == second[0].ref.digest
    assert first[1].ref.digest == second[1].ref.digest


def test_auto_ships_the_better_learner(train_stage: Any) -> None:
    rng = np.random.default_rng(0)

    def straight(n: int) -> Part:
        X = rng.normal(size=(n, 3)).astype(np.float32)
        return Part(X, (X @ [1.0, -2.0, 0.5]) + rng.normal(size=n) * 0.1)

    def bent(n: int) -> Part:
        X = rng.normal(size=(n, 3)).astype(np.float32)
        return Part(X, np.where((X[:, 0] > 0) ^ (X[:, 1] > 0), 5.0, -5.0) + rng.normal(size=n))

    for shape, best in ((straight, "linear"), (bent, "lightgbm")):
        parts = {"train": shape(800), "valid": shape(400), "test": shape(10)}
        model, history, _ = train_stage("regression", parts, folder=best, rounds=60)
        assert model.meta["learner"] == best
        assert history.json("history.json")["leaderboard"][0]["learner"] == best


def test_curves_are_reported_live_and_kept(train_stage: Any) -> None:
    _, history, emitted = train_stage(
        "binary", learner="lightgbm", rounds=25, metric="roc_auc", early_stopping=0
    )
    live = [
        (d["step"], d["value"]) for kind, d in emitted if kind == "metric" and d["name"] == "valid_roc_auc"
    ]
    kept = history.json("history.json")["curves"]["lightgbm.valid_roc_auc"]
    assert [step for step, _ in live] == list(range(1, 26))
    assert [tuple(point) for point in kept] == live
    progress = [d for kind, d in emitted if kind == "progress"]
    assert progress[-2]["done"] == 25


def test_early_stopping_ships_the_best_round(train_stage: Any) -> None:
    model, history, _ = train_stage(
        "binary",
        learner="lightgbm",
        early_stopping=10,
        rounds=400,
        checkpoint=7,
        params={"learning_rate": 0.3},
    )
    curve = history.json("history.json")["curves"]["lightgbm.valid_log_loss"]
    best = min(curve, key=lambda point: point[1])
    assert model.json("model.json")["iterations"] == best[0]
    assert curve[-1][0] == best[0] + 10
    assert len(decode(model.bytes("native/trees.bin")).trees) == best[0]


def test_faults_of_the_task_are_reported_at_once(train_stage: Any) -> None:
    with pytest.raises(ProjectError) as caught:
        train_stage("regression", metric="roc_auc", calibrate="sigmoid", class_weight="balanced")
    assert [f.path for f in caught.value.faults] == ["train.class_weight", "train.metric", "train.calibrate"]
    with pytest.raises(ProjectError, match="did you mean 'yes'"):
        train_stage("binary", class_weight={"yess": 2.0})


def test_a_metric_without_a_value_is_replaced_and_said(train_stage: Any) -> None:
    parts = {name: rows("binary", 300, seed) for seed, name in enumerate(("train", "valid", "test"))}
    parts["valid"] = Part(parts["valid"].X, np.zeros(300))
    model, _, emitted = train_stage("binary", parts, metric="roc_auc", rounds=10)
    assert model.meta["metric"] == "log_loss"
    assert any("roc_auc has no value" in d["text"] for kind, d in emitted if kind == "warning")


def test_no_validation_rows(train_stage: Any) -> None:
    parts = {name: rows("binary", 300, seed) for seed, name in enumerate(("train", "valid", "test"))}
    parts["valid"] = Part(parts["valid"].X[:0], parts["valid"].y[:0])
    model, _, _ = train_stage("binary", parts, learner="lightgbm", rounds=15)
    assert model.json("model.json")["iterations"] == 15
    assert model.json("model.json")["calibration"]["method"] == "none"


def test_a_model_below_the_constant_is_warned_of(train_stage: Any) -> None:
    part = rows("binary", 300)
    parts = {"train": part, "valid": Part(part.X, 1 - part.y), "test": part}
    _, _, emitted = train_stage("binary", parts, learner="lightgbm", calibrate="none", rounds=20)
    assert any("no better than a constant" in d["text"] for kind, d in emitted if kind == "warning")


def test_no_rows_is_a_data_error(train_stage: Any) -> None:
    nothing = Part(np.zeros((0, 2), dtype=np.float32), np.zeros(0))
    with pytest.raises(DataError, match="nothing to learn from"):
        train_stage("binary", {"train": nothing, "valid": nothing, "test": nothing})


@pytest.mark.slow
def test_large_targets_keep_their_digits(train_stage: Any, tmp_path: Path) -> None:
    """Without the base taken out of the trees, float32 sums of a million lose the digits after the point."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(2000, 3)).astype(np.float32)
    part = Part(X, 5e6 + X[:, 0].astype(np.float64) + X[:, 1])
    model, _, _ = train_stage(
        "regression", {"train": part, "valid": part, "test": part}, learner="lightgbm", rounds=200
    )
    native = decode(model.bytes("native/trees.bin")).margin(X)[:, 0]
    assert (
        np.max(np.abs(predict(model, X)["score"][:, 0] - native)) <= 0.5
    )  # one step of a float32 at five million
