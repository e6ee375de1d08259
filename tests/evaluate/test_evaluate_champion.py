"""The champion gate against real, signed packages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from judged_support import Case, case, context

from bessemer.core.errors import DataError, PackageError
from bessemer.evaluate.champion import Wanted, champion_outcome
from bessemer.evaluate.spec import EvaluateSpec, Gates
from bessemer.evaluate.stage import run
from bessemer.package import load, write_package
from bessemer.testing.models import INPUTS, tiny_members
from bessemer.testing.models import ROWS as TINY
from bessemer.testing.several import FURTHER, several_graph, several_signature

ROWS = 1200


def made(ctx: Any, weight: float, classes: tuple[Any, ...] = ("no", "yes")) -> Case:
    rng = np.random.default_rng(4)
    x = rng.normal(size=ROWS)
    if len(classes) > 2:
        y = np.digitize(x + rng.normal(size=ROWS), [-1.0, 1.0]).astype(float)
        weights, bias = np.array([[-weight, 0.0, weight]]), np.array([-0.5, 0.5, -0.5])
    elif classes:
        y = (rng.random(ROWS) < 1 / (1 + np.exp(-2 * x))).astype(float)
        weights, bias = np.array([[weight]]), np.zeros(1)
    else:
        y = 2 * x + rng.normal(size=ROWS)
        weights, bias = np.array([[weight]]), np.zeros(1)
    return case(ctx, pa.table({"x": x}), y, classes, weights, bias)


def package(given: Case, path: Path) -> None:
    signature = given.signature
    facts = {"groups": ["x"], "features": [], "classes": list(signature.classes), "native": None}
    members: dict[str, Path | bytes] = {
        "model.onnx": given.model,
        "signature.json": json.dumps(signature.to_json()).encode(),
        "model.json": json.dumps(facts).encode(),
    }
    about = {"name": "old", "version": "1", "created": "2024-01-01T00:00:00Z"}
    write_package(path, members, **about, task=signature.task, target="y")


def evaluate(given: Case, ctx: Any) -> dict[str, Any]:
    spec = EvaluateSpec(champion="old.bsm", gates=Gates(beats=("champion",)), replicates=60)
    found: dict[str, Any] = ctx.open(run(spec, given.inputs, ctx)["evaluation"]).json("evaluation.json")
    return found


@pytest.mark.parametrize(
    "classes", [("no", "yes"), (1, 2, 3), ()], ids=["binary", "multiclass", "regression"]
)
def test_a_worse_model_than_the_champion_fails(tmp_path: Path, classes: tuple[Any, ...]) -> None:
    ctx = context(tmp_path, "evaluate")
    package(made(ctx, 2.0, classes), tmp_path / "old.bsm")
    found = evaluate(made(ctx, -0.5, classes), ctx)
    assert found["passed"] is False
    assert found["versus"]["champion"]["verdict"] == "worse"
    assert found["metric"] in found["champion"]


def test_the_champion_against_itself_is_a_tie(tmp_path: Path) -> None:
    ctx = context(tmp_path, "evaluate")
    same = made(ctx, 2.0)
    package(same, tmp_path / "old.bsm")
    found = evaluate(same, ctx)
    assert found["passed"] is True
    assert found["versus"]["champion"]["difference"] == pytest.approx(0, abs=1e-7)
    assert found["champion"]["log_loss"] == pytest.approx(found["metrics"]["log_loss"]["value"], abs=1e-6)


def test_a_champion_with_the_classes_the_other_way_round_is_turned(tmp_path: Path) -> None:
    ctx = context(tmp_path, "evaluate")
    package(made(ctx, -2.0, ("yes", "no")), tmp_path / "old.bsm")
    found = evaluate(made(ctx, 2.0, ("no", "yes")), ctx)
    assert found["versus"]["champion"]["difference"] == pytest.approx(0, abs=1e-6)


def test_a_champion_of_another_task_is_refused(tmp_path: Path) -> None:
    ctx = context(tmp_path, "evaluate")
    package(made(ctx, 2.0, ("cold", "warm")), tmp_path / "old.bsm")
    with pytest.raises(DataError, match=r"old\.bsm predicts something else") as error:
        evaluate(made(ctx, 2.0), ctx)
    assert "'cold', 'warm'" in error.value.why


def several(folder: Path, columns: dict[str, list[Any]]) -> tuple[Path, Path, pa.Table]:
    """The tiny package of further targets, the file of some of its rows, and what it says of them."""
    members = {
        **tiny_members("binary"),
        "model.onnx": several_graph("binary"),
        "signature.json": json.dumps(several_signature("binary").to_json()).encode(),
    }
    about = {"name": "tiny", "version": "1", "created": "2024-01-01T00:00:00Z"}
    write_package(folder / "tiny.bsm", members, **about, task="binary", target="churned")
    pq.write_table(pa.table(columns), folder / "rows.parquet")
    return folder / "tiny.bsm", folder / "rows.parquet", load(folder / "tiny.bsm").predict(pa.table(columns))


def test_a_further_target_of_the_champion_answers_for_it(tmp_path: Path) -> None:
    columns = {field.name: [row.get(field.name) for row in TINY] for field in INPUTS}
    champion, rows, said = several(tmp_path, columns)
    spend, plan, late = FURTHER
    number = champion_outcome(champion, rows, Wanted("spend", "regression", ()), np.zeros(3))
    assert number.predicted.tolist() == said[spend.prediction].to_pylist()
    order = (30, 10, 20)
    several_classes = champion_outcome(champion, rows, Wanted(plan.name, "multiclass", order), np.zeros(3))
    shares = np.stack([said[f"{plan.probability}_{name}"].to_numpy() for name in order], axis=1)
    np.testing.assert_array_equal(several_classes.probability, shares)
    turned = champion_outcome(champion, rows, Wanted(late.name, "binary", ("oui", "non")), np.zeros(3))
    np.testing.assert_allclose(turned.probability[:, 1], 1 - said[late.probability].to_numpy(), rtol=1e-6)
    assert [("oui", "non")[i] for i in turned.predicted] == said[late.prediction].to_pylist()


def test_a_champion_of_another_target_is_refused_though_the_task_is_the_same(tmp_path: Path) -> None:
    columns = {field.name: [row.get(field.name) for row in TINY] for field in INPUTS}
    champion, rows, _ = several(tmp_path, columns)
    with pytest.raises(DataError, match="predicts something else") as error:
        champion_outcome(champion, rows, Wanted("returned", "binary", ("no", "yes")), np.zeros(3))
    assert "model of 'churned'" in error.value.why
    assert "task of 'returned'" in error.value.why
    with pytest.raises(DataError, match="predicts something else") as error:
        champion_outcome(champion, rows, Wanted("spend", "binary", ("no", "yes")), np.zeros(3))
    assert "a regression model of 'spend'" in error.value.why


def test_a_damaged_champion_is_refused(tmp_path: Path) -> None:
    ctx = context(tmp_path, "evaluate")
    (tmp_path / "old.bsm").write_bytes(b"not a package")
    with pytest.raises(PackageError):
        evaluate(made(ctx, 2.0), ctx)
