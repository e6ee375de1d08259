"""Whole runs: what comes out, from the command line and from Python, for each task."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from tests_support import first_rows, write_project

import bessemer as bessemer_module

pytestmark = pytest.mark.slow


def test_the_json_of_a_run(telco: dict[str, Any]) -> None:
    assert telco["status"] == "done"
    assert [s["stage"] for s in telco["stages"]] == [
        "acquire", "validate", "annotate", "prepare", "protect", "train", "evaluate", "attack", "explain", "profile",
        "report", "package",
    ]  # fmt: skip
    assert Path(telco["package"]).name == "test-1.bsm"
    assert Path(telco["report"]).read_text("utf-8").startswith("<!doctype html>")
    figure = telco["metrics"][telco["metric"]]
    assert figure["low"] < figure["value"] < figure["high"]
    assert telco["metrics"]["roc_auc"]["value"] > 0.8


def test_the_report_says_where_the_time_went(telco: dict[str, Any]) -> None:
    text = Path(telco["report"]).read_text("utf-8")
    inside = text.split('id="bessemer-timings">')[1].split("</script>")[0]
    timings = json.loads(inside)
    assert {t["stage"] for t in timings["stages"]} == {s["stage"] for s in telco["stages"]}
    assert timings["total"] > 0


def test_a_second_run_is_all_cache(telco: dict[str, Any], bessemer: Any) -> None:
    done = bessemer("run", "--json", cwd=telco["folder"])
    again = json.loads(done.stdout)
    assert {s["status"] for s in again["stages"]} == {"cached"}
    assert again["package"] == telco["package"]
    assert again["metrics"] == telco["metrics"]


def test_a_change_runs_only_what_it_touches(telco: dict[str, Any], bessemer: Any, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(telco["folder"], folder)
    path = folder / "bessemer.yaml"
    keys = json.loads(path.read_text())
    keys["evaluate"] = {"slices": ["gender"]}
    path.write_text(json.dumps(keys))
    done = bessemer("run", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    ran = {s["stage"]: s["why"] for s in json.loads(done.stdout)["stages"] if s["status"] == "ran"}
    assert set(ran) == {"evaluate", "report", "package"}
    assert "slices" in ran["evaluate"]


def test_predict_verify_and_python_agree(telco: dict[str, Any], bessemer: Any, tmp_path: Path) -> None:
    out = tmp_path / "scored.parquet"
    done = bessemer("predict", telco["package"], telco["test"], "-o", out, "--explain", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    scored = pq.read_table(out)
    data = pa.csv.read_csv(telco["test"])
    assert scored.num_rows == data.num_rows
    model = bessemer_module.load(telco["package"])
    direct = model.predict(data, explain=True)
    assert direct.column("prediction").to_pylist() == scored.column("prediction").to_pylist()
    parts = [n for n in direct.column_names if n.startswith("contribution_")]
    total = sum(direct.column(n).to_numpy() for n in parts) + direct.column("base").to_numpy()
    np.testing.assert_allclose(total, direct.column("score").to_numpy(), atol=1e-4)
    verified = json.loads(bessemer("verify", telco["package"], "--json", cwd=tmp_path).stdout)
    assert verified["name"] == "test"


def test_any_table_in_the_same_answer_out(telco: dict[str, Any]) -> None:
    import pandas as pd
    import polars as pl

    model = bessemer_module.load(telco["package"])
    table = pa.csv.read_csv(telco["test"]).slice(0, 200)
    expected = model.predict(table)
    for data in (
        table.to_pandas(),
        pl.from_arrow(table),
        table.to_pylist(),
        table.to_pydict(),
        table.to_batches()[0],
    ):
        assert model.predict(data).equals(expected), type(data)
    assert isinstance(table.to_pandas(), pd.DataFrame)


def test_held_out_rows_are_predicted_as_well_as_the_run_said(telco: dict[str, Any]) -> None:
    """The table's own test file, never seen by the run."""
    from sklearn.metrics import roc_auc_score

    data = pa.csv.read_csv(telco["test"])
    scored = bessemer_module.load(telco["package"]).predict(data)
    auc = roc_auc_score(
        np.array(data.column("Churn").to_pylist()) == "Yes", scored.column("probability").to_numpy()
    )
    assert auc > telco["metrics"]["roc_auc"]["low"] - 0.03


def test_runs_show_report_and_clean(telco: dict[str, Any], bessemer: Any, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(telco["folder"], folder)
    assert bessemer("run", cwd=folder).returncode == 0
    listed = json.loads(bessemer("runs", "--json", cwd=folder).stdout)
    assert len(listed) >= 2
    shown = bessemer("show", listed[0]["run"], listed[-1]["run"], cwd=folder)
    assert shown.returncode == 0
    assert "cached" in shown.stdout
    assert "roc_auc" in shown.stdout
    assert bessemer("show", "no-such-run", cwd=folder).returncode == 2
    assert json.loads(bessemer("report", "--json", cwd=folder).stdout)["report"]
    assert json.loads(bessemer("clean", "--json", cwd=folder).stdout)["artifacts"] == 0
    bessemer("run", "--json", "--upto", "acquire", "--force", "acquire", cwd=folder)
    project = bessemer_module.Project(folder)
    assert project.artifact("raw").meta["rows"] > 5000
    with pytest.raises(bessemer_module.UsageError):
        project.artifact("splitz")


@pytest.mark.parametrize(
    ("table", "target", "task", "metric", "worst"),
    [
        ("california", "median_house_value", "regression", "r2", 0.75),
        ("diamonds", "cut", "multiclass", "accuracy", 0.6),
    ],
)
def test_other_tasks(
    table: str, target: str, task: str, metric: str, worst: float, shared: Path, tmp_path: Path, bessemer: Any
) -> None:
    write_project(tmp_path, data=first_rows(shared / table / "test.csv", tmp_path, 5000), target=target)
    done = bessemer("run", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    run = json.loads(done.stdout)
    assert run["metrics"][metric]["value"] > worst
    model = bessemer_module.load(run["package"])
    assert model.task == task
    data = pa.csv.read_csv(shared / table / "train.csv").slice(0, 3000)
    found = model.predict(data, explain=True)
    parts = [n for n in found.column_names if n.startswith("contribution_")]
    total = sum(found.column(n).to_numpy() for n in parts) + found.column("base").to_numpy()
    np.testing.assert_allclose(total, found.column("score").to_numpy(), rtol=1e-4, atol=1e-4)


def test_init_writes_a_project_that_runs(shared: Path, tmp_path: Path, bessemer: Any) -> None:
    shutil.copy(shared / "telco" / "test.csv", tmp_path / "customers.csv")
    made = bessemer("init", "churn", "--data", "customers.csv", "--target", "Churn", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    text = (tmp_path / "bessemer.yaml").read_text("utf-8")
    assert text.count("#") > 10
    assert "Contract" in text
    refused = bessemer("init", "churn", "--data", "customers.csv", "--target", "Churn", cwd=tmp_path)
    assert refused.returncode == 2
    assert "--overwrite" in refused.stderr
    run = bessemer("run", "--json", "--no-track", cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["stages"][0]["status"] == "cached", "init has landed the data already"


def test_every_comment_of_a_made_project_file_can_be_switched_on(
    shared: Path, tmp_path: Path, bessemer: Any
) -> None:
    with (tmp_path / "t.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "when it was", "plan", "a", "b", "y"])
        for i in range(300):
            rows.writerow(
                [f"id{i}", f"2024-01-{i % 28 + 1:02d} 10:00:00", "xyz"[i % 3], i % 11, i % 7, i % 2]
            )
    assert bessemer("init", "t", "--data", "t.csv", "--target", "y", cwd=tmp_path).returncode == 0
    path = tmp_path / "bessemer.yaml"
    lines = path.read_text("utf-8").splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("# validate:"))
    switched = lines[:start] + [line.removeprefix("# ").removeprefix("#") for line in lines[start:]]
    path.write_text("\n".join(switched), "utf-8")
    keys = bessemer_module.Project(path).file.sections
    assert keys["prepare"].split.by == "when it was"
    assert keys["prepare"].exclude


def test_gates_that_are_not_passed_stop_before_the_package(
    shared: Path, tmp_path: Path, bessemer: Any
) -> None:
    write_project(
        tmp_path, data=str(shared / "telco" / "test.csv"), target="Churn",
        train={"learner": "linear"}, evaluate={"gates": {"roc_auc": ">= 0.999"}},
    )  # fmt: skip
    done = bessemer("run", cwd=tmp_path)
    assert done.returncode == 4, done.stderr
    assert "0.999" in done.stderr
    assert (tmp_path / "build" / "report.html").exists(), "the report says why"
    assert not list((tmp_path / "build").glob("*.bsm"))


def test_a_store_in_a_bucket(shared: Path, tmp_path: Path) -> None:
    write_project(
        tmp_path, data=str(shared / "telco" / "test.csv"), target="Churn", store="memory://bucket/telco"
    )
    first = bessemer_module.Project(tmp_path).run(upto="prepare", track=False)
    shutil.rmtree(tmp_path / ".bessemer")
    second = bessemer_module.Project(tmp_path).run(upto="prepare", track=False)
    assert {s.status for s in first.stages} == {"ran"}
    assert {s.status for s in second.stages} == {"cached"}


def test_user_code_counts_as_input(shared: Path, tmp_path: Path, bessemer: Any) -> None:
    shutil.copy(shared / "telco" / "test.csv", tmp_path / "t.csv")
    helper = tmp_path / "helpers.py"
    helper.write_text("KEEP = 500\n")
    (tmp_path / "mine.py").write_text(
        "import helpers\n\n\ndef clean(batch):\n    return batch.slice(0, helpers.KEEP)\n"
    )
    write_project(
        tmp_path, acquire={"sources": {"t": {"csv": "t.csv"}}, "python": "mine:clean"}, target="Churn"
    )
    first = bessemer_module.Project(tmp_path).run(upto="acquire", track=False)
    helper.write_text("KEEP = 400\n")
    done = bessemer("run", "--upto", "acquire", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    second = json.loads(done.stdout)
    assert second["stages"][0]["status"] == "ran"
    assert "outside" in second["stages"][0]["why"]
    assert second["stages"][0]["outputs"] != first.stages[0].outputs


def test_the_lineage_of_a_package_leads_back_to_the_source(telco: dict[str, Any], bessemer: Any) -> None:
    steps = json.loads(bessemer("lineage", "--json", cwd=telco["folder"]).stdout)
    assert steps[0]["stage"] == "acquire"
    assert steps[-1]["stage"] == "package"
    assert len(steps) == 12
    made = {digest for step in steps for digest in step["outputs"].values()}
    assert all(taken in made for step in steps for taken in step["inputs"].values())
    assert steps[0]["reads"], "the file's fingerprint"
    assert "lightgbm" in next(step for step in steps if step["stage"] == "train")["packages"]
    shown = bessemer("lineage", "model", cwd=telco["folder"])
    assert shown.returncode == 0
    assert "train" in shown.stdout
    assert "report" not in shown.stdout
