"""The threshold that ships: chosen on the judging rows, one or one a group, in the graph and beside it."""

from __future__ import annotations

import datetime as dt
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError
from stage_support import make_context, make_parts, put_inputs

from bessemer.core.artifact import ArtifactRef
from bessemer.core.errors import DataError, ProjectError
from bessemer.core.signature import Signature
from bessemer.package.decision import Decision
from bessemer.package.session import GraphSession
from bessemer.stats.metrics.outcome import class_indices
from bessemer.train.check import check_columns
from bessemer.train.learner import Part
from bessemer.train.reweigh import reweighed_parts
from bessemer.train.spec import TrainSpec
from bessemer.train.stage import run

ODD = "it's </script>"


def people(part: str, rows: int, y: np.ndarray) -> pa.Table:
    """Columns of every type beside the features, some of which go with the target."""
    rng = np.random.default_rng(len(part))
    first = rng.random(rows) < np.where(y > 0, 0.7, 0.3)
    days = pa.array(
        [None if k % 9 == 0 else dt.datetime(2020, 1, 1) + dt.timedelta(days=int(k)) for k in range(rows)],
        pa.timestamp("us"),
    )
    return pa.table(
        {
            "sex": pa.array(np.where(first, "m", "f"), mask=rng.random(rows) < 0.05),
            ODD: pa.array(np.array(["Zürich", '"Bern"', ""])[np.where(first, 0, rng.integers(0, 3, rows))]),
            "veteran": pa.array(first, mask=rng.random(rows) < 0.1),
            "level": pa.array(rng.integers(-1, 2, rows)),
            "age": pa.array(np.where(rng.random(rows) < 0.1, np.nan, rng.normal(40, 10, rows) + 5 * y)),
            "since": days,
        }
    )


def inputs(ctx: Any, **names: str) -> tuple[dict[str, ArtifactRef], dict[str, pa.Table]]:
    """The stage's inputs with raw rows, as preparation gives them; `names` renames columns."""
    parts = make_parts("binary", 900)
    made = put_inputs(ctx.store, "binary", parts, ["no", "yes"])
    splits = ctx.open(made["splits"])
    files: dict[str, Any] = {name: splits.path(name) for name in splits.files}
    tables = {}
    for part, rows in parts.items():
        table = people(part, len(rows), rows.y)
        table = table.rename_columns([names.get(name, name) for name in table.column_names])
        for k in range(rows.X.shape[1]):
            table = table.append_column(f"column {k}", pa.array(rows.X[:, k]))
        buffer = io.BytesIO()
        pq.write_table(table, buffer)
        files[f"{part}.parquet"], tables[part] = buffer.getvalue(), table
    meta = {**splits.meta, "refold": "rows", "group": None}
    return {**made, "splits": ctx.store.put("splits", files, meta)}, tables


def trained(folder: Path, **settings: Any) -> tuple[Any, dict[str, pa.Table], list[tuple[str, Any]]]:
    heard: list[tuple[str, Any]] = []
    ctx = make_context(folder, heard)
    given, tables = inputs(ctx)
    spec = TrainSpec.model_validate_json(json.dumps({"learner": "linear", **settings}))
    return ctx.open(run(spec, given, ctx)["model"]), tables, heard


def said(model: Any, table: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    signature = Signature.from_json(model.json("signature.json"))
    made = GraphSession(model.bytes("model.onnx"), signature.inputs).run(table, ["prediction", "probability"])
    return class_indices(made["prediction"], ["no", "yes"]), made["probability"][:, 1]


def test_without_a_setting_positive_is_said_from_one_half_on(tmp_path: Path) -> None:
    model, tables, _ = trained(tmp_path)
    assert Decision.from_json(model.json("model.json")["decision"]) == Decision()
    prediction, p = said(model, tables["test"])
    assert (prediction == (p >= 0.5)).all()


@pytest.mark.parametrize("learner", ["linear", "lightgbm"])
@pytest.mark.parametrize(
    "threshold",
    [0.3, "f1", "mcc", {"objective": "cost", "costs": {"false_positive": 1, "false_negative": 5}}],
)
def test_one_threshold_is_in_the_graph(tmp_path: Path, learner: str, threshold: Any) -> None:
    model, tables, heard = trained(tmp_path, learner=learner, rounds=20, threshold=threshold)
    decision = Decision.from_json(model.json("model.json")["decision"])
    prediction, p = said(model, tables["test"])
    assert (prediction == (p >= np.float32(decision.threshold))).all()
    assert 0 < prediction.mean() < 1
    if threshold == 0.3:
        assert decision.threshold == pytest.approx(0.3)
        return
    wanted = threshold if isinstance(threshold, str) else "cost"
    assert decision.objective == wanted
    assert decision.costs is None or decision.costs["false_negative"] == 5
    (note,) = [e["text"] for k, e in heard if k == "note" and "says positive" in e["text"]]
    assert f"best {wanted} on 900 judging rows" in note


@pytest.mark.slow
def test_the_threshold_is_the_best_on_the_validation_rows(tmp_path: Path) -> None:
    from sklearn.metrics import f1_score

    model, tables, _ = trained(tmp_path, threshold="f1")
    prediction, p = said(model, tables["valid"])
    y = make_parts("binary", 900)["valid"].y
    assert f1_score(y, prediction) == pytest.approx(max(f1_score(y, p >= t) for t in np.unique(p)))


COLUMNS = [["sex"], [ODD], ["veteran"], ["level"], ["age"], ["since"], ["sex", "age"], ["veteran", ODD]]


@pytest.mark.parametrize("columns", COLUMNS, ids=lambda c: " ".join(c).encode("ascii", "ignore").decode())
def test_thresholds_by_group_are_those_of_the_decision(tmp_path: Path, columns: list[str]) -> None:
    model, tables, _ = trained(tmp_path, threshold={"groups": columns, "objective": "balanced_accuracy"})
    decision = Decision.from_json(model.json("model.json")["decision"])
    assert [one.column for one in decision.groups] == columns
    assert len(set(decision.table)) > 1
    names = [field.name for field in Signature.from_json(model.json("signature.json")).inputs]
    assert names[-len(columns) :] == columns
    table = tables["test"]
    prediction, p = said(model, table)
    thresholds = decision.thresholds(table, len(p))
    assert (prediction == (p >= thresholds)).all()
    assert (prediction != (p >= np.float32(decision.threshold))).any()


def test_numbers_beyond_float32_have_the_threshold_that_the_graph_gives_them(tmp_path: Path) -> None:
    ctx = make_context(tmp_path)
    given, tables = inputs(ctx)
    big = {}
    for seed, (part, table) in enumerate(tables.items()):
        x = np.random.default_rng(seed).normal(size=len(table))
        x[::3] *= 1e300
        big[part] = table.append_column("big", pa.array(x))
    splits = ctx.open(given["splits"])
    files: dict[str, Any] = {name: splits.path(name) for name in splits.files}
    for part, table in big.items():
        pq.write_table(table, buffer := io.BytesIO())
        files[f"{part}.parquet"] = buffer.getvalue()
    given["splits"] = ctx.store.put("splits", files, splits.meta)
    settings = {"learner": "linear", "threshold": {"groups": ["big"], "objective": "balanced_accuracy"}}
    model = ctx.open(run(TrainSpec.model_validate_json(json.dumps(settings)), given, ctx)["model"])
    decision = Decision.from_json(model.json("model.json")["decision"])
    assert len(set(decision.table)) > 1
    prediction, p = said(model, big["test"])
    assert (prediction == (p >= decision.thresholds(big["test"], len(p)))).all()
    assert decision.rows[-1] == 0
    assert sum(decision.rows) == 600  # of 900, those that the graph can compare


def test_unknown_and_missing_groups_have_the_common_threshold(tmp_path: Path) -> None:
    model, tables, _ = trained(tmp_path, threshold={"groups": ["sex"], "objective": "f1"})
    decision = Decision.from_json(model.json("model.json")["decision"])
    table = tables["test"]
    for value in ("someone new", None, ""):
        where = table.column_names.index("sex")
        changed = table.set_column(where, "sex", pa.array([value] * len(table), pa.string()))
        prediction, p = said(model, changed)
        assert (prediction == (p >= np.float32(decision.threshold))).all()
    one_by_one = [said(model, table.slice(k, 1))[0][0] for k in range(40)]  # below the rows that are cut
    assert one_by_one == said(model, table)[0][:40].tolist()


@pytest.mark.parametrize("fair", ["demographic_parity", "equal_opportunity", "equalised_odds"])
def test_the_constraint_holds_on_the_validation_rows(tmp_path: Path, fair: str) -> None:
    from bessemer.stats.fairness import DECISIONS, Decisions

    model, tables, _ = trained(tmp_path, threshold={"groups": ["sex"], "fair": fair, "tolerance": "3%"})
    decision = Decision.from_json(model.json("model.json")["decision"])
    prediction, p = said(model, tables["valid"])
    judged = Decisions(
        decision.places(tables["valid"]), 2, make_parts("binary", 900)["valid"].y, prediction, p
    )
    values = dict(zip(judged.figures, judged(), strict=True))
    for figure in DECISIONS[fair].figures:
        assert np.ptp(values[figure]) <= 0.03 + 1e-9
    assert 0.05 < prediction.mean() < 0.95  # and not by treating all alike


@pytest.mark.slow
def test_automl_chooses_on_what_it_judged_out_of_fold(tmp_path: Path) -> None:
    model, tables, _ = trained(
        tmp_path,
        learner="auto",
        automl={"budget": 600, "learners": ["linear", "constant"], "search": "none", "folds": 3},
        threshold={"groups": ["sex"], "objective": "f1"},
    )
    decision = Decision.from_json(model.json("model.json")["decision"])
    assert sum(decision.rows) > 900  # train and valid
    prediction, p = said(model, tables["test"])
    assert (prediction == (p >= decision.thresholds(tables["test"], len(p)))).all()


def test_too_few_rows_of_a_group_leave_one_threshold(tmp_path: Path) -> None:
    heard: list[tuple[str, Any]] = []
    ctx = make_context(tmp_path, heard)
    given, _ = inputs(ctx)
    spec = TrainSpec(learner="linear", threshold={"groups": ["age"], "bins": {"age": [1000.0]}})  # type: ignore[arg-type]
    model = ctx.open(run(spec, given, ctx)["model"])
    assert model.json("model.json")["decision"]["groups"] == []
    assert any("fewer than two groups" in data["text"] for kind, data in heard if kind == "warning")


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"threshold": 1.5}, "less than 1"),
        ({"threshold": {"value": 0.2, "objective": "f1"}}, "keep one of them"),
        ({"threshold": "cost"}, "belong together"),
        ({"threshold": {"fair": "equal_opportunity"}}, "between which groups"),
        ({"threshold": {"groups": ["sex"], "objective": "mcc"}}, "group by group"),
        ({"threshold": {"groups": ["sex"], "bins": {"age": [1.0]}}}, "not one of the groups"),
        ({"threshold": "auc"}, "accuracy"),
    ],
)
def test_what_cannot_be_meant_is_a_fault(settings: dict[str, Any], what: str) -> None:
    with pytest.raises(ValidationError, match=what):
        TrainSpec.model_validate_json(json.dumps(settings))


def test_faults_of_columns_tasks_and_names(tmp_path: Path, train_stage: Any) -> None:
    spec = TrainSpec(threshold={"groups": ["sexx"]}, reweigh=["agee"])  # type: ignore[arg-type]
    found = check_columns(spec, {"sex": "VARCHAR", "age": "DOUBLE"}, {"target": "income"})
    assert {f.path: f.fix for f in found} == {
        "train.reweigh.0": "did you mean 'age'?",
        "train.threshold.groups.0": "did you mean 'sex'?",
    }
    with pytest.raises(ProjectError, match="a threshold parts two classes"):
        train_stage("multiclass", threshold=0.4)
    with pytest.raises(ProjectError, match="independent of"):
        train_stage("regression", folder="other", reweigh=["sex"])
    ctx = make_context(tmp_path / "taken")
    given, _ = inputs(ctx, sex="score")
    with pytest.raises(DataError, match="a column is named 'score'"):
        run(TrainSpec(learner="linear", threshold={"groups": ["score"]}), given, ctx)  # type: ignore[arg-type]


def biased(seed: int, rows: int = 1500) -> tuple[Part, pa.Table]:
    """Rows whose class goes with a group that is the first feature; the second feature says something of its own."""
    rng = np.random.default_rng(seed)
    group, own = rng.integers(0, 2, rows), rng.normal(size=rows)
    y = (rng.random(rows) < 1 / (1 + np.exp(-(1.5 * group - 0.75 + own)))).astype(np.float64)
    X = np.column_stack([group, own]).astype(np.float32)
    return Part(X, y), pa.table({"g": pa.array(np.array(["a", "b"])[group])})


@pytest.mark.slow
@pytest.mark.parametrize("learner", ["linear", "lightgbm"])
def test_reweighing_takes_the_group_out_of_what_is_learnt(tmp_path: Path, learner: str) -> None:
    gaps = {}
    for name, columns in (("plain", []), ("reweighed", ["g"])):
        heard: list[tuple[str, Any]] = []
        ctx = make_context(tmp_path / name, heard)
        made = {part: biased(seed) for seed, part in enumerate(("train", "valid", "test"))}
        given = put_inputs(
            ctx.store, "binary", {part: rows for part, (rows, _) in made.items()}, ["no", "yes"]
        )
        splits = ctx.open(given["splits"])
        files: dict[str, Any] = {file: splits.path(file) for file in splits.files}
        for part, (_, table) in made.items():
            pq.write_table(table, buffer := io.BytesIO())
            files[f"{part}.parquet"] = buffer.getvalue()
        given["splits"] = ctx.store.put("splits", files, splits.meta)
        model = ctx.open(run(TrainSpec(learner=learner, rounds=60, reweigh=columns), given, ctx)["model"])
        assert model.json("model.json")["reweigh"] == columns
        X = made["test"][0].X
        _, p = said(model, pa.table({"column 0": X[:, 0], "column 1": X[:, 1]}))
        gaps[name] = float(p[X[:, 0] == 1].mean() - p[X[:, 0] == 0].mean())
    assert gaps["plain"] > 0.25
    assert abs(gaps["reweighed"]) < 0.06
    (note,) = [d["text"] for k, d in heard if k == "note" and "weighed by g" in d["text"]]
    low, high = (float(x) for x in note.partition(" from ")[2].split(" to "))
    assert 0.5 < low < 1 < high < 2


def test_weights_of_rows_are_kept_and_unseen_groups_count_as_they_did(tmp_path: Path) -> None:
    ctx = make_context(tmp_path)
    train, table = biased(1)
    train = replace(train, weight=np.random.default_rng(0).random(len(train)) + 0.5)
    valid = Part(train.X[:3], train.y[:3], np.array([1.0, 2.0, 3.0]))
    files = {"train.parquet": table, "valid.parquet": pa.table({"g": ["new", "a", None]})}
    stored: dict[str, Any] = {}
    for name, rows in files.items():
        pq.write_table(rows, buffer := io.BytesIO())
        stored[name] = buffer.getvalue()
    splits = ctx.open(ctx.store.put("splits", stored, {"classes": ["no", "yes"]}))
    first, second = reweighed_parts(["g"], splits, train, valid, ctx)
    assert first.weight is not None
    assert second.weight is not None
    code = (np.array(table["g"].to_pylist()) == "b").astype(int)
    cells = np.bincount(code * 2 + train.y.astype(int), first.weight, minlength=4).reshape(2, 2)
    np.testing.assert_allclose(cells, cells.sum(1, keepdims=True) * cells.sum(0) / cells.sum())
    assert second.weight[[0, 2]].tolist() == [1.0, 3.0]
    assert second.weight[1] != 2.0


@pytest.mark.slow
def test_the_same_settings_give_the_same_bytes(tmp_path: Path) -> None:
    digests = set()
    for folder in ("one", "two"):
        ctx = make_context(tmp_path / folder)
        given, _ = inputs(ctx)
        spec = TrainSpec(
            learner="linear", reweigh=["sex"], threshold={"groups": ["sex"], "fair": "equalised_odds"}
        )  # type: ignore[arg-type]
        digests.add(run(spec, given, ctx)["model"].digest)
    assert len(digests) == 1
