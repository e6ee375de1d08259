"""Groups, criteria, proxies, mitigation and gates, on rows whose answers are known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from judged_support import Case, Heard, case, context
from pydantic import ValidationError

from bessemer.core.errors import ProjectError
from bessemer.core.grouping import group
from bessemer.evaluate.check import check_columns
from bessemer.evaluate.fairness.compared import Judgement
from bessemer.evaluate.fairness.partition import Partition, partitions
from bessemer.evaluate.fairness.proxies import MOST_JUDGED, find_proxies
from bessemer.evaluate.fairness.sides import Side
from bessemer.evaluate.fairness.spec import FairnessSpec
from bessemer.evaluate.spec import EvaluateSpec, Gates
from bessemer.evaluate.stage import run
from bessemer.package.decision import Decision
from bessemer.stats.homogeneity import same_rates
from bessemer.stats.metrics.outcome import Outcome

ROWS = 2400


def people(rows: int = ROWS, seed: int = 3) -> tuple[pa.Table, np.ndarray]:
    """A score `x` that stands lower for one sex; `hobby` gives the sex away, `noise` does not; few have `rare`."""
    rng = np.random.default_rng(seed)
    male = rng.random(rows) < 0.6
    x = rng.normal(size=rows) + 0.8 * male - 0.4
    hobby = np.where(rng.random(rows) < 0.9, male, ~male)
    table = pa.table(
        {
            "x": x,
            "noise": rng.normal(size=rows),
            "hobby": pa.array(np.where(hobby, "cars", "horses")),
            "sex": pa.array(np.where(male, "m", "f"), mask=rng.random(rows) < 0.03),
            "race": pa.array(
                np.where(rng.random(rows) < 0.01, "rare", np.where(rng.random(rows) < 0.3, "b", "w"))
            ),
            "age": rng.uniform(18, 80, rows),
        }
    )
    return table, x


def binary(ctx: Any, classes: tuple[Any, ...] = ("no", "yes"), **more: Any) -> Case:
    table, x = people()
    y = (np.random.default_rng(9).random(ROWS) < 1 / (1 + np.exp(-2 * x))).astype(float)
    weights = np.zeros((6, 1))
    weights[0] = 2
    return case(ctx, table, y, classes, weights, np.zeros(1), metric="roc_auc", **more)


def evaluate(made: Case, ctx: Any, **settings: Any) -> dict[str, Any]:
    quiet = {
        "find_slices": False,
        "find_duplicates": False,
        "find_label_errors": False,
        "compare_parts": False,
    }
    spec = EvaluateSpec.model_validate_json(json.dumps({"replicates": 60, **quiet, **settings}))
    found: dict[str, Any] = ctx.open(run(spec, made.inputs, ctx)["evaluation"]).json("evaluation.json")
    return found


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Case, dict[str, Any], Heard]:
    ctx = context(tmp_path_factory.mktemp("fair"), "evaluate", heard := Heard())
    made = binary(ctx)
    found = evaluate(made, ctx, fairness={"groups": ["sex", "race", "age"], "bins": {"age": [30, 60]}})
    return made, found["fairness"], heard


def test_figures_of_groups_are_those_of_their_rows(judged: tuple[Case, dict[str, Any], Heard]) -> None:
    from sklearn.metrics import accuracy_score, precision_score, recall_score, roc_auc_score

    made, found, _ = judged
    test, y = made.parts["test"], made.truth["test"]
    p = 1 / (1 + np.exp(-2 * test["x"].to_numpy()))
    assert [g["value"] for g in found["groups"]["sex"]] == ["m", "f", "missing"]
    assert [g["value"] for g in found["groups"]["age"]] == ["up to 30", "above 30 to 60", "above 60"]
    sex = np.array([v or "missing" for v in test["sex"].to_pylist()])
    for one in found["groups"]["sex"]:
        mask = sex == one["value"]
        assert one["rows"] == mask.sum()
        assert one["too_small"] == (mask.sum() < 30)
        if one["too_small"]:
            assert one["metrics"] == {}
            continue
        own, said = y[mask], p[mask] >= 0.5
        expected = {
            "roc_auc": roc_auc_score(own, p[mask]),
            "base_rate": own.mean(),
            "selection_rate": said.mean(),
            "tpr": recall_score(own, said),
            "fpr": said[own == 0].mean(),
            "precision": precision_score(own, said),
            "accuracy": accuracy_score(own, said),
            "mean_probability": p[mask].mean(),
            "bias": p[mask].mean() - own.mean(),
        }
        for name, value in expected.items():
            figure = one["metrics"][name]
            assert figure["value"] == pytest.approx(value, abs=1e-6), name
            assert figure["low"] <= figure["value"] <= figure["high"], name


def test_criteria_name_the_groups_and_how_sure_they_are(judged: tuple[Case, dict[str, Any], Heard]) -> None:
    _, found, heard = judged
    sex = found["criteria"]["sex"]
    rates = {
        g["value"]: g["metrics"]["selection_rate"]["value"]
        for g in found["groups"]["sex"]
        if not g["too_small"]
    }
    assert sex["demographic_parity"]["value"] == pytest.approx(rates["m"] - rates["f"])
    assert sex["disparate_impact"]["value"] == pytest.approx(rates["f"] / rates["m"])
    assert sex["demographic_parity"]["between"] == sex["disparate_impact"]["between"] == ["f", "m"]
    assert 0 < sex["demographic_parity"]["low"] < sex["demographic_parity"]["high"]
    assert sex["demographic_parity"]["p"] < 1e-6
    race = found["criteria"]["race"]
    assert (
        race["demographic_parity"]["low"] <= 0 or race["demographic_parity"]["p"] > 0.01
    )  # nothing is there
    assert any(text.startswith("sex: 'f' gets the favourable outcome") for text in heard.texts("warning"))


def test_small_groups_are_shown_and_not_compared(judged: tuple[Case, dict[str, Any], Heard]) -> None:
    made, found, _ = judged
    (rare,) = [g for g in found["groups"]["race"] if g["value"] == "rare"]
    assert rare["too_small"]
    both = found["groups"]["sex × race"]
    assert sum(g["rows"] for g in both) == len(made.truth["test"])
    (pooled,) = [g for g in both if g["pooled"]]
    assert pooled["value"].endswith("smaller groups")
    compared = {
        name for one in found["criteria"].values() for c in one.values() for name in c["between"] or ()
    }
    assert "rare" not in compared
    assert pooled["value"] not in compared
    assert set(found["groups"]) == {"sex", "race", "age", "sex × race", "sex × age", "race × age"}


def test_proxies_are_the_columns_that_give_a_group_away(judged: tuple[Case, dict[str, Any], Heard]) -> None:
    _, found, _ = judged
    proxies = found["proxies"]["sex"]
    assert proxies["groups"] == ["m", "f"]
    assert proxies["columns"][0]["column"] == "hobby"
    assert 0.8 < proxies["columns"][0]["roc_auc"]["value"] < 0.95
    assert "sex" not in {c["column"] for c in proxies["columns"]}
    (noise,) = [c for c in proxies["columns"] if c["column"] == "noise"]
    assert noise["roc_auc"]["low"] < 0.5 < noise["roc_auc"]["high"] + 0.02
    assert proxies["together"]["roc_auc"]["low"] > 0.85
    assert proxies["together"]["accuracy"]["low"] > proxies["chance"]["accuracy"]
    assert proxies["disparate_impact"]["value"] < 0.8  # decisions differ between those who look like m and f
    nothing = found["proxies"]["race"]["together"]["roc_auc"]
    assert nothing["low"] < 0.5 < nothing["high"] + 0.03
    assert found["inputs"] == {"sex": True, "race": True, "age": True}


def test_the_other_class_can_be_the_favourable_one(tmp_path: Path) -> None:
    ctx = context(tmp_path, "evaluate")
    found = evaluate(binary(ctx), ctx, fairness={"groups": ["sex"], "favourable": "no", "proxies": False})[
        "fairness"
    ]
    assert found["favourable"] == "no"
    assert found["criteria"]["sex"]["demographic_parity"]["between"] == ["m", "f"]
    assert found["proxies"] == {}


def test_a_multiclass_model_is_judged_one_class_against_the_rest(tmp_path: Path) -> None:
    ctx = context(tmp_path, "evaluate")
    table, x = people()
    y = np.digitize(x + np.random.default_rng(1).normal(size=ROWS), [-0.7, 0.7]).astype(float)
    weights = np.zeros((6, 3))
    weights[0] = [-1.5, 0, 1.5]
    made = case(ctx, table, y, ("low", "middle", "high"), weights, np.zeros(3), metric="log_loss")
    settings: dict[str, Any] = {"groups": ["sex"], "proxies": False}
    found = evaluate(made, ctx, fairness=settings)["fairness"]
    (male, _, _) = found["groups"]["sex"]
    assert set(male["classes"]) == {"low", "middle", "high"}
    assert list(male["metrics"]) == ["log_loss"]
    worst = found["criteria"]["sex"]["demographic_parity"]
    gaps = {
        name: abs(
            np.subtract(*(g["classes"][name]["selection_rate"]["value"] for g in found["groups"]["sex"][:2]))
        )
        for name in male["classes"]
    }
    assert worst["class"] == max(gaps, key=lambda k: gaps[k])
    assert worst["value"] == pytest.approx(max(gaps.values()))
    one = evaluate(made, ctx, fairness={**settings, "favourable": "high"})["fairness"]
    assert one["favourable"] == "high"
    assert one["criteria"]["sex"]["demographic_parity"]["value"] == pytest.approx(gaps["high"])


def test_a_regression_is_judged_by_its_errors(tmp_path: Path) -> None:
    ctx = context(tmp_path, "evaluate")
    table, x = people()
    male = np.array([v == "m" for v in table["sex"].to_pylist()])
    y = x + np.where(male, 0.0, 0.5) + np.random.default_rng(1).normal(size=ROWS) * 0.1
    weights = np.zeros((6, 1))
    weights[0] = 1
    made = case(ctx, table, y, (), weights, np.zeros(1), metric="rmse")
    all_settings = evaluate(
        made,
        ctx,
        fairness=["sex"],
        gates={"fairness": {"mae": "<= 0.1", "mean_error": "<= 1"}, "beats": []},
    )
    found = all_settings["fairness"]
    assert found["favourable"] is None
    worst = found["criteria"]["sex"]["mean_error"]
    assert worst["value"] == pytest.approx(0.5, abs=0.05)
    assert worst["between"] == ["f", "m"]  # who is estimated too low
    assert found["criteria"]["sex"]["mae"]["between"] == ["f", "m"]
    assert [g["passed"] for g in all_settings["gates"]] == [True, False]


def test_gates_judge_the_worst_column_at_its_value(tmp_path: Path) -> None:
    ctx = context(tmp_path, "evaluate", heard := Heard())
    settings = {"fairness": {"groups": ["sex", "race"], "proxies": False}}
    wanted = {"disparate_impact": ">= 0.8", "accuracy_equality": "<= 50%"}
    found = evaluate(binary(ctx), ctx, **settings, gates={"fairness": wanted})
    gates = {g["gate"]: g for g in found["gates"]}
    failed = gates["fairness disparate_impact"]
    assert not failed["passed"]
    assert failed["value"] == pytest.approx(found["fairness"]["criteria"]["sex"]["disparate_impact"]["value"])
    assert "for sex, between f and m" in failed["why"]
    assert gates["fairness accuracy_equality"]["passed"]
    assert not found["passed"]
    assert any("fairness disparate_impact" in text for text in heard.texts("warning"))


def test_a_gate_that_cannot_be_judged_fails(tmp_path: Path) -> None:
    ctx = context(tmp_path, "evaluate")
    table, x = people(200)
    table = table.append_column("same", pa.array(["all"] * 200))
    weights = np.zeros((7, 1))
    weights[0] = 2
    made = case(ctx, table, (x > 0).astype(float), ("no", "yes"), weights, np.zeros(1), metric="roc_auc")
    found = evaluate(
        made, ctx, fairness=["same"], gates={"fairness": {"equalised_odds": "<= 0.1"}, "beats": []}
    )
    (gate,) = found["gates"]
    assert not gate["passed"]
    assert gate["why"].startswith("equalised_odds is not defined for same")
    assert found["fairness"]["proxies"] == {}


def with_decision(ctx: Any, made: Case, decision: Decision) -> Case:
    """The same model with another decision in its graph."""
    import onnx

    from bessemer.package.graph import GraphBuilder, serialize
    from bessemer.train.group_threshold import threshold_of

    model = ctx.open(made.inputs["model"])
    g = GraphBuilder("model")
    bindings = {f.name: g.input(f.name, f.tensor, ("N", 1)) for f in made.signature.inputs}
    found = g.embed(onnx.load_model_from_string(made.model), bindings, "inner/")
    score = g.op("Identity", [found["score"]], name="score")
    probability = g.op("Identity", [found["probability"]], name="probability")
    one = g.constant(np.array([1], dtype=np.int64))
    threshold = (
        threshold_of(g, decision) if decision.groups else g.constant(np.float32([[decision.threshold]]))
    )
    yes = g.op("GreaterOrEqual", [g.op("Gather", [probability, one], axis=1), threshold])
    index = g.op("Squeeze", [g.cast(yes, "int64"), one])
    prediction = g.op("Gather", [g.constant(np.array(made.signature.classes)), index], name="prediction")
    for name, tensor, shape in (
        (prediction, "string", ("N",)),
        (probability, "float32", ("N", 2)),
        (score, "float32", ("N", 1)),
    ):
        g.output(name, tensor, shape)
    files: dict[str, Any] = {name: model.path(name) for name in model.files}
    files["model.onnx"] = serialize(g.model())
    facts = {**model.json("model.json"), "decision": decision.to_json(), "reweigh": ["race"]}
    files["model.json"] = json.dumps(facts).encode()
    made.inputs["model"] = ctx.store.put("model", files, model.meta)
    return made


def test_mitigation_says_what_group_thresholds_changed_and_cost(tmp_path: Path) -> None:
    ctx = context(tmp_path, "evaluate")
    made = binary(ctx)
    sex = group("sex", made.parts["train"]["sex"])
    table = tuple(
        0.75 if name == "m" else 0.25 if name == "f" else 0.5 for name in [*sex.names[: sex.size], "others"]
    )
    decision = Decision(0.5, "accuracy", None, (sex,), "demographic_parity", 0.02, table, (100, 100, 0))
    found = evaluate(with_decision(ctx, made, decision), ctx, fairness={"groups": ["sex"], "proxies": False})
    p = 1 / (1 + np.exp(-2 * made.parts["test"]["x"].to_numpy()))
    said = p >= decision.thresholds(made.parts["test"], len(p))
    y = made.truth["test"]
    assert found["metrics"]["accuracy"]["value"] == pytest.approx(np.mean(said == y))  # of what ships
    assert found["threshold"]["used"]["threshold"] is None
    mitigation = found["fairness"]["mitigation"]
    assert mitigation["reweigh"] == ["race"]
    own = mitigation["thresholds"]
    assert {tuple(t["group"]): t["threshold"] for t in own["thresholds"]} == {("m",): 0.75, ("f",): 0.25}
    change = own["criteria"]["sex"]["demographic_parity"]
    assert change["between"] == ["f", "m"]
    assert change["before"] > 0.2 > abs(change["after"])
    assert change["high"] < 0
    accuracy = own["metrics"]["accuracy"]
    assert accuracy["before"] == pytest.approx(np.mean((p >= 0.5) == y))
    assert accuracy["after"] == pytest.approx(np.mean(said == y))
    assert accuracy["high"] < 0
    assert found["fairness"]["criteria"]["sex"]["demographic_parity"]["value"] == pytest.approx(
        abs(change["after"])
    )


@pytest.mark.slow
def test_the_same_inputs_give_the_same_bytes(tmp_path: Path) -> None:
    digests = set()
    for folder in ("one", "two"):
        ctx = context(tmp_path / folder, "evaluate")
        spec = EvaluateSpec.model_validate_json(
            json.dumps({"replicates": 30, "fairness": ["sex", "race"], "find_slices": False})
        )
        digests.add(run(spec, binary(ctx).inputs, ctx)["evaluation"].digest)
    assert len(digests) == 1


@pytest.mark.parametrize("rows", [8, 41])
def test_few_rows_and_odd_columns_are_no_fault(tmp_path: Path, rows: int) -> None:
    ctx = context(tmp_path, "evaluate")
    table, x = people(rows)
    odd = '× "</script>` é'
    table = table.append_column(odd, pa.array([None] * rows, pa.string()))
    table = table.append_column("flag", pa.array([k % 2 == 0 for k in range(rows)]))
    weights = np.zeros((8, 1))
    weights[0] = 2
    made = case(ctx, table, (x > 0).astype(float), ("no", "yes"), weights, np.zeros(1), metric="log_loss")
    found = evaluate(
        made, ctx, fairness=["sex", odd, "flag", "x"], costs={"false_positive": 1, "false_negative": 1}
    )
    assert set(found["fairness"]["criteria"]) >= {"sex", odd, "flag", "x"}
    assert found["fairness"]["proxies"] == {}
    assert found["fairness"]["groups"][odd][0]["value"] == "missing"


@pytest.mark.slow
def test_groups_of_one_name_are_kept_apart(tmp_path: Path) -> None:
    """A text that says 'missing' beside missing ones, and numbers that six digits do not tell apart."""
    rng, rows = np.random.default_rng(4), 1600
    said = np.array(["a", "b", "missing", ""])[rng.integers(0, 4, rows)]
    x = rng.normal(size=rows) + (said == "a")
    table = pa.table(
        {
            "x": x,
            "said": pa.array(said, mask=said == ""),
            "account": pa.array(1_000_000_000 + rng.integers(0, 900, rows)),
            "place": pa.array(np.array(["m", "m × n"])[rng.integers(0, 2, rows)]),
            "kind": pa.array(np.array(["n × o", "o"])[rng.integers(0, 2, rows)]),
        }
    )
    weights = np.zeros((5, 1))
    weights[0] = 2
    ctx = context(tmp_path, "evaluate")
    made = case(ctx, table, (x > 0).astype(float), ("no", "yes"), weights, np.zeros(1), metric="roc_auc")
    # The pair comes first of those that are judged together.
    found = evaluate(made, ctx, fairness=["place", "kind", "said", "account"])["fairness"]
    for name, groups in found["groups"].items():
        values = [one["value"] for one in groups]
        assert len(set(values)) == len(values), name
    test = np.array([v or "null" for v in made.parts["test"]["said"].to_pylist()])
    sizes = {one["value"]: one["rows"] for one in found["groups"]["said"]}
    assert sizes["missing"] == (test == "missing").sum()
    assert sizes["missing (no value)"] == (test == "null").sum()
    assert set(found["proxies"]["said"]["groups"]) == {"a", "b", "missing", "missing (no value)"}
    assert len(found["proxies"]["account"]["groups"]) == 4


@pytest.mark.slow
def test_proxies_do_not_hold_whole_files_in_memory(tmp_path: Path) -> None:
    rows, columns = 800_000, 3
    rng = np.random.default_rng(0)
    table = pa.table({f"x{k}": rng.random(rows) for k in range(columns)})
    table = table.append_column("sex", pa.array(np.array(["m", "f"])[rng.integers(0, 2, rows)]))
    pq.write_table(table, tmp_path / "rows.parquet", row_group_size=20_000)
    sex = group("sex", table["sex"])
    spec = FairnessSpec.model_validate_json('{"groups": ["sex"]}')
    (part,) = partitions({"sex": (sex, sex.codes(table["sex"]))}, spec)
    whole, before = table.nbytes, pa.default_memory_pool()
    pa.set_memory_pool(pool := pa.proxy_memory_pool(before))
    try:
        path = tmp_path / "rows.parquet"
        found = find_proxies(path, path, table.column_names, part, sex, 1)
        most = pool.max_memory()
    finally:
        pa.set_memory_pool(before)
    assert found is not None
    assert len(found.rows) == MOST_JUDGED
    assert 0 < most < whole / 2


@pytest.mark.parametrize("untested", ["tpr", "fpr"])
def test_equalised_odds_has_a_p_value_where_one_of_its_rates_cannot_be_compared(untested: str) -> None:
    rng = np.random.default_rng(2)
    codes = np.repeat([0, 1], 200)
    truth = rng.random(400) < 0.5
    truth[codes == 1] = untested == "fpr"  # nobody of the second group has the other class
    said = rng.random(400) < np.where(codes == 1, 0.8, 0.4)
    probability = np.column_stack([1 - said, said]).astype(np.float64)
    outcome = Outcome("binary", truth.astype(np.float64), said.astype(np.int64), probability)
    part = Partition("g", ("g",), ("a", "b"), codes)
    judgement = Judgement(outcome, part, [Side(1, "")])
    draws = judgement.statistic(np.ones(400))[None, :].repeat(3, axis=0)
    found = judgement.criteria(draws, 0.95)
    other = "fpr" if untested == "tpr" else "tpr"
    assert found["equalised_odds"]["figure"] == other
    rates = [(said[(codes == k) & (truth == (other == "tpr"))]) for k in (0, 1)]
    expected = same_rates([r.sum() for r in rates], [len(r) for r in rates])
    # One test was made, and so its p-value is not doubled.
    assert found["equalised_odds"]["p"] == pytest.approx(expected)


def test_gates_of_labels_speak_of_the_threshold_that_ships() -> None:
    for name in ("precision", "recall", "f1"):
        assert "at the threshold that ships" in str(Gates.model_fields[name].description)


def test_faults_name_the_nearest_right_thing(tmp_path: Path) -> None:
    columns = {"sex": "VARCHAR", "race": "VARCHAR"}
    (fault,) = check_columns(EvaluateSpec(fairness={"groups": ["sexx"]}), columns, {})  # type: ignore[arg-type]
    assert (fault.path, fault.fix) == ("evaluate.fairness.groups.0", "did you mean 'sex'?")
    with pytest.raises(ValidationError, match="between which groups"):
        EvaluateSpec(gates={"fairness": {"disparate_impact": ">= 0.8"}})  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="not one of the groups"):
        EvaluateSpec(fairness={"groups": ["sex"], "bins": {"age": [1.0]}})  # type: ignore[arg-type]
    ctx = context(tmp_path, "evaluate")
    spec = EvaluateSpec(
        fairness={"groups": ["sex"], "favourable": "yess"},  # type: ignore[arg-type]
        gates={"fairness": {"mae": "<= 1"}},  # type: ignore[arg-type]
    )
    with pytest.raises(ProjectError) as error:
        run(spec, binary(ctx).inputs, ctx)
    faults = {f.path: f.fix for f in error.value.faults}
    assert faults["evaluate.fairness.favourable"] == "did you mean 'yes'?"
    assert "evaluate.gates.fairness.mae" in faults
