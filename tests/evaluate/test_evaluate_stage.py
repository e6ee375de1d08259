"""The evaluate stage on models whose quality is known."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from judged_support import Case, Heard, case, context, features

from bessemer.core.errors import DataError, ProjectError
from bessemer.evaluate.check import fingerprint
from bessemer.evaluate.spec import EvaluateSpec
from bessemer.evaluate.stage import run

ROWS = 1600


def table(rows: int = ROWS) -> pa.Table:
    rng = np.random.default_rng(4)
    x = rng.normal(size=rows)
    return pa.table(
        {
            "x": x,
            "noise": pa.array(rng.normal(size=rows), mask=rng.random(rows) < 0.1),
            "city": pa.array(["", "Bern", None, "Zürich"], pa.string()).take(
                pa.array(rng.integers(0, 4, rows))
            ),
            "day": pa.array(
                [dt.datetime(2024, 1, 1) + dt.timedelta(hours=i) for i in range(rows)], pa.timestamp("us")
            ),
        }
    )


def binary(ctx: Any, classes: tuple[Any, ...] = ("no", "yes"), strength: float = 2.0, **more: Any) -> Case:
    t = table()
    x = t.column("x").to_numpy()
    y = (np.random.default_rng(9).random(ROWS) < 1 / (1 + np.exp(-2 * x))).astype(float)
    weights = np.zeros((4, 1))
    weights[0] = strength
    return case(ctx, t, y, classes, weights, np.zeros(1), metric="roc_auc", **more)


def evaluate(made: Case, ctx: Any, **settings: Any) -> dict[str, Any]:
    spec = EvaluateSpec.model_validate_json(json.dumps({"replicates": 60, **settings}))
    artifact = ctx.open(run(spec, made.inputs, ctx)["evaluation"])
    found: dict[str, Any] = artifact.json("evaluation.json")
    assert artifact.meta == {"passed": found["passed"]}
    return found


def test_metrics_are_those_of_scikit_learn_on_the_test_rows(tmp_path: Path) -> None:
    from sklearn.metrics import brier_score_loss, f1_score, roc_auc_score

    heard = Heard()
    ctx = context(tmp_path, "evaluate", heard)
    made = binary(ctx)
    found = evaluate(made, ctx)
    y, p = made.truth["test"], 1 / (1 + np.exp(-2 * made.parts["test"].column("x").to_numpy()))
    metrics = found["metrics"]
    assert metrics["roc_auc"]["value"] == pytest.approx(roc_auc_score(y, p), abs=1e-6)
    assert metrics["brier"]["value"] == pytest.approx(brier_score_loss(y, p), abs=1e-6)
    assert metrics["f1"]["value"] == pytest.approx(f1_score(y, p >= 0.5), abs=1e-9)
    for name, figure in metrics.items():
        assert figure["low"] <= figure["value"] <= figure["high"] or name == "ece", (
            name
        )  # resampling biases ECE up
    assert found["metric"] == found["versus"]["constant"]["metric"] == "roc_auc"
    assert found["rows"] == 400
    assert found["passed"] is True
    (headline,) = heard.texts("note")
    assert headline.startswith(f"roc_auc {metrics['roc_auc']['value']:.4g} [")
    assert headline.endswith("on 400 test rows")


def test_predictions_are_the_graphs_in_test_order(tmp_path: Path) -> None:
    ctx = context(tmp_path, "evaluate")
    made = binary(ctx)
    artifact = ctx.open(run(EvaluateSpec(replicates=20), made.inputs, ctx)["evaluation"])
    rows = pq.read_table(artifact.path("predictions.parquet"))
    assert rows.column_names == ["target", "prediction", "probability"]
    assert rows.column("target").to_pylist() == [["no", "yes"][int(k)] for k in made.truth["test"]]
    p = rows.column("probability").to_numpy()
    np.testing.assert_allclose(p, 1 / (1 + np.exp(-2 * features(made.parts["test"])[:, 0])), atol=1e-6)
    assert rows.column("prediction").to_pylist() == [["no", "yes"][int(v >= 0.5)] for v in p]


@pytest.mark.parametrize(("classes", "kind"), [((False, True), pa.bool_()), ((0, 1), pa.int64())])
def test_classes_keep_their_type(tmp_path: Path, classes: tuple[Any, ...], kind: pa.DataType) -> None:
    ctx = context(tmp_path, "evaluate")
    artifact = ctx.open(run(EvaluateSpec(replicates=20), binary(ctx, classes).inputs, ctx)["evaluation"])
    schema = pq.read_schema(artifact.path("predictions.parquet"))
    assert schema.field("target").type == kind
    assert schema.field("prediction").type == kind


@pytest.mark.slow
def test_the_same_inputs_give_the_same_bytes(tmp_path: Path) -> None:
    digests = set()
    for folder in ("one", "two"):
        ctx = context(tmp_path / folder, "evaluate")
        made = binary(ctx)
        digests.add(run(EvaluateSpec(replicates=30, slices=("city",)), made.inputs, ctx)["evaluation"].digest)
    assert len(digests) == 1


@pytest.mark.slow
def test_another_seed_moves_intervals_and_nothing_else(tmp_path: Path) -> None:
    first, second = (
        evaluate(
            binary(context(tmp_path / str(seed), "evaluate", seed=seed)),
            context(tmp_path / str(seed), "evaluate", seed=seed),
        )
        for seed in (1, 2)
    )
    assert first["metrics"]["f1"]["value"] == second["metrics"]["f1"]["value"]
    assert first["metrics"]["f1"]["low"] != second["metrics"]["f1"]["low"]


# gates -----------------------------------------------------------------------------------------------
def gate(found: dict[str, Any], name: str) -> dict[str, Any]:
    return next(g for g in found["gates"] if g["gate"] == name)


def test_a_worthless_model_fails_and_is_kept(tmp_path: Path) -> None:
    heard = Heard()
    ctx = context(tmp_path, "evaluate", heard)
    found = evaluate(binary(ctx, strength=0.0), ctx, gates={"roc_auc": ">= 0.7"})
    assert found["passed"] is False
    assert gate(found, "beats constant")["passed"] is False
    assert gate(found, "roc_auc") == {
        "gate": "roc_auc",
        "required": ">= 0.7",
        "value": 0.5,
        "passed": False,
        "why": "roc_auc is 0.5 [0.5, 0.5]",
    }
    assert any("gate 'roc_auc' failed" in text for text in heard.texts("warning"))


def test_a_baseline_that_is_better_for_certain_fails_the_gate(tmp_path: Path) -> None:
    ctx = context(tmp_path, "evaluate")
    strong = np.zeros((4, 1))
    strong[0] = 2
    found = evaluate(binary(ctx, strength=-0.1, linear=(strong, np.zeros(1))), ctx)
    assert gate(found, "beats linear")["passed"] is False
    assert found["versus"]["linear"]["verdict"] == "worse"
    assert found["versus"]["linear"]["high"] < 0


def test_a_tie_with_the_linear_baseline_passes_and_says_so(tmp_path: Path) -> None:
    ctx = context(tmp_path, "evaluate")
    same = np.zeros((4, 1))
    same[0] = 1.0
    found = evaluate(binary(ctx, linear=(same, np.zeros(1))), ctx)
    assert found["versus"]["linear"] == {
        "metric": "roc_auc",
        "difference": 0.0,
        "low": 0.0,
        "high": 0.0,
        "verdict": "tie",
    }
    assert gate(found, "beats linear")["passed"] is True
    assert "not told apart from linear" in gate(found, "beats linear")["why"]


def test_the_baseline_itself_passes_its_own_gate(tmp_path: Path) -> None:
    ctx = context(tmp_path, "evaluate")
    found = evaluate(binary(ctx, learner="linear"), ctx)
    assert gate(found, "beats linear")["required"] == "is the baseline itself"
    assert gate(found, "beats linear")["passed"] is True


def test_a_champion_gate_passes_while_there_is_none(tmp_path: Path) -> None:
    ctx = context(tmp_path, "evaluate")
    found = evaluate(binary(ctx), ctx, gates={"beats": ["champion"]})
    assert found["champion"] is None
    assert gate(found, "beats champion")["why"] == "there is no champion yet"
    assert [g["gate"] for g in found["gates"]] == ["beats champion"]


def test_a_gated_metric_is_computed_though_not_asked_for(tmp_path: Path) -> None:
    ctx = context(tmp_path, "evaluate")
    found = evaluate(binary(ctx), ctx, metrics=["f1"], gates={"ece": "< 20%"})
    assert sorted(found["metrics"]) == ["ece", "f1", "roc_auc"]
    assert gate(found, "ece")["passed"] is True


def test_one_class_in_the_test_rows_is_said_and_not_passed(tmp_path: Path) -> None:
    ctx = context(tmp_path, "evaluate")
    y = np.r_[np.arange(300) % 2, np.zeros(100)].astype(float)
    t = table(400)
    made = case(ctx, t, y, ("no", "yes"), np.ones((4, 1)), np.zeros(1), metric="roc_auc")
    found = evaluate(made, ctx, gates={"roc_auc": "> 0.5"})
    assert found["metrics"]["roc_auc"]["value"] is None
    assert gate(found, "roc_auc")["passed"] is False
    assert "one class only" in gate(found, "roc_auc")["why"]
    assert found["passed"] is False


# slices ----------------------------------------------------------------------------------------------
def test_slices_share_out_all_rows(tmp_path: Path) -> None:
    ctx = context(tmp_path, "evaluate")
    found = evaluate(binary(ctx), ctx, slices=["city", "noise", "day"])["slices"]
    for parts in found.values():
        assert sum(p["rows"] for p in parts) == 400
    assert sorted(p["value"] for p in found["city"]) == ["Bern", "Zürich", "missing"]
    assert [p["kind"] for p in found["noise"]] == ["range"] * 4 + ["missing"]
    assert [p["rows"] for p in found["day"]] == [100] * 4
    for part in found["city"]:
        figure = part["metrics"]["roc_auc"]
        assert figure["low"] < figure["value"] < figure["high"]


def test_a_slice_is_the_metric_of_its_rows(tmp_path: Path) -> None:
    from sklearn.metrics import roc_auc_score

    ctx = context(tmp_path, "evaluate")
    made = binary(ctx)
    found = evaluate(made, ctx, slices=["city"])["slices"]["city"]
    bern = np.array([v == "Bern" for v in made.parts["test"].column("city").to_pylist()])
    x = made.parts["test"].column("x").to_numpy()
    (part,) = [p for p in found if p["value"] == "Bern"]
    assert part["metrics"]["roc_auc"]["value"] == pytest.approx(
        roc_auc_score(made.truth["test"][bern], x[bern])
    )


def test_small_slices_have_no_figures_and_rare_values_stand_together(tmp_path: Path) -> None:
    ctx = context(tmp_path, "evaluate")
    t = table()
    names = [f"v{k}" for k in range(24) for _ in range(2 if k else 1)] + ["big"] * ROWS
    t = t.set_column(
        2, "city", pa.array(names[:47] + ["big"] * (ROWS - 47 - 53) + [f"w{k}" for k in range(53)])
    )
    made = case(
        ctx, t, (t.column("x").to_numpy() > 0) * 1.0, ("a", "b"), np.ones((4, 1)), np.zeros(1), metric="brier"
    )
    parts = evaluate(made, ctx, slices=["city"])["slices"]["city"]
    assert len(parts) == 21
    assert parts[0]["value"] == "big"
    assert parts[0]["metrics"]
    assert parts[1]["too_small"] is True
    assert parts[1]["metrics"] == {}
    assert (parts[-1]["kind"], parts[-1]["value"], parts[-1]["rows"]) == ("other", "34 rarer values", 34)


# tasks -----------------------------------------------------------------------------------------------
def test_multiclass(tmp_path: Path) -> None:
    from sklearn.metrics import log_loss

    ctx = context(tmp_path, "evaluate")
    t = table()
    x = t.column("x").to_numpy()
    y = np.digitize(x + np.random.default_rng(1).normal(0, 0.3, ROWS), [-0.5, 0.5]).astype(float)
    weights = np.zeros((4, 3))
    weights[0] = [-4, 0, 4]
    made = case(ctx, t, y, ("high'", "low", "mid"), weights, np.array([-1.0, 1.0, -1.0]))
    found = evaluate(made, ctx)
    scores = made.parts["test"].column("x").to_numpy()[:, None] * weights[0] + [-1.0, 1.0, -1.0]
    P = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    assert found["metric"] == "log_loss"
    assert found["metrics"]["log_loss"]["value"] == pytest.approx(log_loss(made.truth["test"], P), abs=1e-5)
    assert found["passed"] is True
    assert found["threshold"] is None
    counts = np.array(found["curves"]["confusion"]["counts"])
    assert counts.sum() == 400
    assert counts.sum(axis=1).tolist() == np.bincount(made.truth["test"].astype(int)).tolist()


def test_regression(tmp_path: Path) -> None:
    ctx = context(tmp_path, "evaluate")
    t = table()
    x = t.column("x").to_numpy()
    y = 3 * x + np.random.default_rng(1).normal(0, 0.5, ROWS)
    weights = np.zeros((4, 1))
    weights[0] = 3
    made = case(ctx, t, y, (), weights, np.zeros(1))
    found = evaluate(made, ctx, slices=["x"], gates={"r2": ">= 90%", "rmse": "<= 0.6"})
    assert found["metrics"]["rmse"]["value"] == pytest.approx(0.5, abs=0.05)
    assert found["passed"] is True
    residuals = found["curves"]["residuals"]
    assert sum(residuals["counts"]) == 400
    assert residuals["mean"] == pytest.approx(0, abs=0.1)
    assert sum(row["rows"] for row in found["curves"]["calibration"]) == 400


def test_a_prediction_that_is_no_number_is_an_error(tmp_path: Path) -> None:
    ctx = context(tmp_path, "evaluate")
    t = table(80).set_column(0, "x", pa.array([0.0] * 70 + [np.inf] * 10))
    made = case(ctx, t, np.arange(80.0), (), np.ones((4, 1)), np.zeros(1))
    with pytest.raises(DataError, match="not a finite number, first in row 10"):
        run(EvaluateSpec(replicates=20), made.inputs, ctx)


# curves and threshold ------------------------------------------------------------------------------------
@pytest.mark.slow
def test_curves_are_small_and_start_and_end_where_they_should(tmp_path: Path) -> None:
    ctx = context(tmp_path, "evaluate")
    curves = evaluate(binary(ctx), ctx)["curves"]
    roc = np.array(curves["roc"])
    assert len(roc) <= 200
    assert roc[0].tolist() == [0, 0]
    assert roc[-1].tolist() == [1, 1]
    assert (np.diff(roc, axis=0) >= 0).all()
    area = np.trapezoid(roc[:, 1], roc[:, 0])
    assert area == pytest.approx(evaluate(binary(ctx), ctx)["metrics"]["roc_auc"]["value"], abs=0.01)
    assert all(0 <= r <= 1 and 0 < p <= 1 for r, p in curves["precision_recall"])
    assert curves["gain"][-1] == [1, 1]
    for row in curves["calibration"]:
        assert 0 <= row["low"] <= row["observed"] <= row["high"] <= 1
    assert sum(row["rows"] for row in curves["calibration"]) == 400


def test_the_row_at_one_half_is_the_confusion_matrix(tmp_path: Path) -> None:
    ctx = context(tmp_path, "evaluate")
    curves = evaluate(binary(ctx), ctx)["curves"]
    (half,) = [row for row in curves["thresholds"] if row[0] == 0.5]
    (tn, fp), (fn, tp) = curves["confusion"]["counts"]
    assert half[1:] == [tp, fp, fn, tn]
    assert curves["confusion"]["labels"] == ["no", "yes"]


def test_the_threshold_is_the_best_of_the_validation_rows(tmp_path: Path) -> None:
    from sklearn.metrics import f1_score, precision_recall_curve

    ctx = context(tmp_path, "evaluate")
    made = binary(ctx)
    found = evaluate(made, ctx)["threshold"]
    p = 1 / (1 + np.exp(-2 * features(made.parts["valid"])[:, 0]))
    precision, recall, _ = precision_recall_curve(made.truth["valid"], p)
    best = (2 * precision * recall / np.maximum(precision + recall, 1e-9)).max()
    assert f1_score(made.truth["valid"], p >= found["suggested"]["threshold"] - 1e-7) == pytest.approx(best)
    assert found["used"]["threshold"] == 0.5
    assert found["chosen_on"] == "valid"
    assert found["suggested"]["metrics"].keys() == found["used"]["metrics"].keys()


# faults and files outside the store ----------------------------------------------------------------------
def test_all_faults_at_once_with_the_nearest_names(tmp_path: Path) -> None:
    ctx = context(tmp_path, "evaluate")
    spec = EvaluateSpec(
        metrics=("rmse", "roc_uac"), slices=("citi",), gates={"r2": ">= 0.5"}, champion="old.bsm"
    )
    with pytest.raises(ProjectError) as error:
        run(spec, binary(ctx).inputs, ctx)
    faults = {fault.path: fault for fault in error.value.faults}
    assert set(faults) == {
        "evaluate.slices.0",
        "evaluate.metrics.0",
        "evaluate.metrics.1",
        "evaluate.gates.r2",
        "evaluate.champion",
    }
    assert faults["evaluate.slices.0"].fix == "did you mean 'city'?"
    assert faults["evaluate.metrics.1"].fix == "did you mean 'roc_auc'?"


def test_the_champions_bytes_are_part_of_the_key(tmp_path: Path) -> None:
    spec = EvaluateSpec(champion="champion.bsm")
    assert fingerprint(EvaluateSpec(), tmp_path) == {}
    assert fingerprint(spec, tmp_path) == {"champion": "missing"}
    (tmp_path / "champion.bsm").write_bytes(b"one")
    first = fingerprint(spec, tmp_path)
    (tmp_path / "champion.bsm").write_bytes(b"two")
    assert fingerprint(spec, tmp_path) != first


def test_a_real_table(tmp_path: Path, shared: Path) -> None:
    """Adult: age, education and hours explain income well enough to beat a constant, and slices differ."""
    from sklearn.linear_model import LogisticRegression

    raw = pyarrow.csv.read_csv(shared / "adult" / "test.csv").slice(0, 4000)
    names = ["age", "education_num", "hours_per_week", "sex"]
    t = pa.table({n: raw.column(n) if n == "sex" else raw.column(n).cast(pa.float64()) for n in names})
    y = np.array([v.strip().startswith(">50K") for v in raw.column("income").to_pylist()], dtype=float)
    fitted = LogisticRegression(max_iter=2000).fit(features(t)[:2000], y[:2000])
    ctx = context(tmp_path, "evaluate")
    made = case(ctx, t, y, ("<=50K", ">50K"), fitted.coef_.T, fitted.intercept_, metric="log_loss")
    found = evaluate(made, ctx, slices=["sex", "age"], gates={"roc_auc": ">= 0.70", "beats": ["constant"]})
    assert found["passed"] is True
    assert found["metric"] == "log_loss"
    assert found["versus"]["constant"]["difference"] > 0  # turned: a smaller loss is better
    assert {p["value"] for p in found["slices"]["sex"]} == {"Male", "Female"}
