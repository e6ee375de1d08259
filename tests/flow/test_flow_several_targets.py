"""A project of three targets on a real table, from the command line to the server and the watch."""

from __future__ import annotations

import csv
import json
import re
import sqlite3
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from tests_support import first_rows, write_project

import bessemer as module
from bessemer.core.errors import GateError, ProjectError
from bessemer.monitor.monitor import Monitor
from bessemer.package.prediction_log.read import read_log
from patience import PATIENCE

pytestmark = pytest.mark.slow

TRAIN = {
    "learner": "network",
    "params": {
        "epochs": 4,
        "table_encoder": {"mlp": {"size": 16, "layers": 1}},
        "hidden_size": 16,
        "check": "none",
    },
    "target_weights": {"occupation": 0.5},
}
KEYS: dict[str, Any] = {
    "data": "data.csv",
    "target": ["income", "hours_per_week", "occupation"],
    "annotate": {"rare": "set_aside"},
    "train": TRAIN,
    "explain": {"explainers": ["permutation"]},
    "evaluate": {
        "gates": {"beats": ["constant"], "targets": {"hours_per_week": {"rmse": "<= 20"}}},
        "replicates": 50,
    },
}
QUICK: dict[str, Any] = {
    "replicates": 20,
    "find_slices": False,
    "find_duplicates": False,
    "find_label_errors": False,
    "compare_parts": False,
}
SAID = ["prediction", "probability", "prediction_hours_per_week", "prediction_occupation"]


@pytest.fixture(scope="module")
def adult(tmp_path_factory: pytest.TempPathFactory, shared: Path, bessemer: Any) -> dict[str, Any]:
    """A finished run on 3,000 rows; the 500 behind them are in `rows.csv`."""
    folder = tmp_path_factory.mktemp("adult")
    source = shared / "adult" / "train.csv"
    first_rows(source, folder, 3000)
    lines = source.read_text().splitlines()
    (folder / "rows.csv").write_text("\n".join([lines[0], *lines[3001:3501]]) + "\n")
    write_project(folder, **KEYS)
    done = bessemer("run", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    return {"folder": folder, "told": done.stderr, **json.loads(done.stdout)}


@pytest.fixture(scope="module")
def model(adult: dict[str, Any]) -> Any:
    return module.load(adult["package"])


def test_no_target_is_an_input_and_each_has_outputs(adult: dict[str, Any], model: Any) -> None:
    signature = model.signature
    assert not {field.name for field in signature.inputs} & set(KEYS["target"])
    assert [(one.name, one.task) for one in signature.further] == [
        ("hours_per_week", "regression"),
        ("occupation", "multiclass"),
    ]
    assert [(field.name, field.shape) for field in signature.outputs] == [
        *(("prediction", ()), ("probability", (2,)), ("score", (1,))),
        *(("prediction_hours_per_week", ()), ("score_hours_per_week", (1,))),
        ("prediction_occupation", ()),
        *((f"{name}_occupation", (len(signature.further[1].classes),)) for name in ("probability", "score")),
    ]
    assert model.info["further"][1]["loss_weight"] == 0.5


def test_each_target_is_judged_against_a_constant(adult: dict[str, Any], model: Any) -> None:
    found = model.evaluation["further"]
    assert found.keys() == {"hours_per_week", "occupation"}
    for own, metric in ((found["hours_per_week"], "rmse"), (found["occupation"], "log_loss")):
        figure = own["metrics"][metric]
        assert own["metric"] == metric
        assert figure["low"] < figure["value"] < figure["high"]
        assert figure["value"] < own["baselines"]["constant"][metric]
        assert own["versus"]["constant"]["verdict"] == "better"
    assert found["hours_per_week"]["rows"] == model.evaluation["rows"] > found["occupation"]["rows"] > 0
    gate = next(g for g in model.evaluation["gates"] if g["gate"] == "hours_per_week.rmse")
    assert gate["passed"]
    assert gate["value"] == found["hours_per_week"]["metrics"]["rmse"]["value"]
    assert "## Metrics of hours\\_per\\_week (regression)" in model.card
    assert re.search(r"hours_per_week: rmse [\d.]+ \[", adult["told"]), adult["told"]
    data = re.search(r'id="bessemer-data"[^>]*>(.*?)</script>', Path(adult["report"]).read_text(), re.DOTALL)
    assert data
    assert json.loads(data[1])["evaluation"]["further"]["occupation"]["rows"] == found["occupation"]["rows"]


def test_a_failed_gate_of_a_further_target_stops_the_package(tmp_path: Path, adult: dict[str, Any]) -> None:
    first_rows(adult["folder"] / "data.csv", tmp_path, 400)
    gates = {
        "beats": [],
        "targets": {"hours_per_week": {"rmse": "<= 0.1"}, "occupation": {"roc_auc": ">= 0.1"}},
    }
    write_project(tmp_path, **{**KEYS, "evaluate": {**QUICK, "gates": gates}})
    with pytest.raises(GateError, match="failed 1 gate") as failed:
        module.Project(tmp_path).run()
    assert "hours_per_week.rmse (required: <= 0.1)" in str(failed.value)
    wrong = {"targets": {"hours_per_week": {"accuracy": ">= 0.1"}}}
    write_project(tmp_path, **{**KEYS, "evaluate": {**QUICK, "gates": wrong}})
    with pytest.raises(ProjectError, match="'accuracy' is not of a regression task"):
        module.Project(tmp_path).run()


def test_rows_tables_and_matrices_have_one_answer(adult: dict[str, Any], model: Any) -> None:
    table = pyarrow.csv.read_csv(adult["folder"] / "rows.csv")
    found = model.predict(table)
    assert found.column_names[:4] == SAID
    assert found.column_names[4:] == [
        f"probability_occupation_{name}" for name in model.signature.further[1].classes
    ]
    shares = np.stack([found[name].to_numpy() for name in found.column_names[4:]], axis=1)
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-5)
    best = [model.signature.further[1].classes[i] for i in shares.argmax(axis=1)]
    assert best == found["prediction_occupation"].to_pylist()
    rows = model.predict_rows(table.slice(0, 20).to_pylist())
    assert rows == found.slice(0, 20).to_pylist()
    assert model.predict(table, columns=["prediction_occupation"]).column_names == ["prediction_occupation"]
    assert {"score", "base"} <= set(model.predict(table.slice(0, 3), explain=True).column_names)


def test_files_and_databases_have_every_prediction(adult: dict[str, Any], model: Any, bessemer: Any) -> None:
    folder, package = adult["folder"], adult["package"]
    wanted = model.predict(pyarrow.csv.read_csv(folder / "rows.csv"))
    places: list[list[str]] = [
        ["out.csv"],
        ["out.parquet"],
        ["out.jsonl"],
        ["sqlite:///out.db", "--table", "said"],
    ]
    for output in places:
        done = bessemer("predict", package, "rows.csv", "-o", *output, cwd=folder)
        assert done.returncode == 0, done.stderr
    assert pq.ParquetFile(folder / "out.parquet").read().equals(wanted)
    with (folder / "out.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert list(lines[0]) == wanted.column_names
    assert [line["prediction_occupation"] for line in lines] == wanted["prediction_occupation"].to_pylist()
    said = [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]
    assert [row["prediction_hours_per_week"] for row in said] == pytest.approx(
        wanted["prediction_hours_per_week"].to_pylist(), rel=1e-6
    )
    with sqlite3.connect(folder / "out.db") as database:
        (count,) = database.execute('SELECT count(DISTINCT "prediction_hours_per_week") FROM said').fetchone()
    assert count > 100


@contextmanager
def serving(folder: Path, package: str, log: str) -> Iterator[str]:
    """`bessemer serve` as a process; gives its address."""
    settings = {**json.loads((folder / "bessemer.yaml").read_text()), "serve": {"log": {"folder": log}}}
    (folder / "serve.yaml").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "bessemer", "serve", package, "--port", "0", "--json"]
    command += ["--project", str(folder / "serve.yaml")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder)
    assert process.stdout
    text = ""
    for line in iter(process.stdout.readline, ""):
        text += line
        if line == "}\n":
            break
    try:
        yield json.loads(text)["url"]
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE)


def asked(url: str, body: Any) -> Any:
    given = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(given, timeout=PATIENCE) as answer:
        return json.load(answer)


def test_the_server_gives_them_and_its_log_is_watched(adult: dict[str, Any], model: Any) -> None:
    folder = adult["folder"]
    rows = (
        pyarrow.csv.read_csv(folder / "rows.csv").select([f.name for f in model.signature.inputs]).to_pylist()
    )
    wanted = model.predict(rows)
    with serving(folder, adult["package"], str(folder / "log")) as url:
        said = asked(f"{url}/predict", {"rows": rows})["predictions"]
        names = [field.name for field in model.signature.inputs]
        body = {"instances": [[row[name] for name in names] for row in rows[:2]]}
        bare = asked(f"{url}/v1/models/{model.name}:predict", body)["predictions"]
        with urllib.request.urlopen(f"{url}/v2/models/{model.name}", timeout=PATIENCE) as answer:
            outputs = [one["name"] for one in json.load(answer)["outputs"]]
        with urllib.request.urlopen(f"{url}/openapi.json", timeout=PATIENCE) as answer:
            schema = json.load(answer)["components"]["schemas"]["Prediction"]
    assert outputs == [field.name for field in model.signature.outputs]
    assert [row["prediction_occupation"] for row in said] == wanted["prediction_occupation"].to_pylist()
    assert [row["prediction_hours_per_week"] for row in said] == pytest.approx(
        wanted["prediction_hours_per_week"].to_pylist(), rel=1e-5
    )
    assert bare == said[:2]
    assert set(schema["required"]) == set(said[0])
    kept = read_log(folder / "log", model.name).read_all()
    # Two requests at once may be logged in either order.
    answered = wanted["prediction_occupation"].to_pylist()
    assert Counter(kept["out.prediction_occupation"].to_pylist()) == Counter(answered + answered[:2])
    assert "out.probability_occupation" not in kept.column_names


def test_drift_of_what_is_predicted_besides_is_seen(adult: dict[str, Any], model: Any) -> None:
    names = {"prediction", "probability", "score", "prediction_hours_per_week", "prediction_occupation"}
    assert model.reference["outputs"].keys() == names
    table = pyarrow.csv.read_csv(adult["folder"] / "data.csv")
    usual = Monitor(model).check(table.slice(0, 1500), score=True)
    young = table.filter(pyarrow.compute.less(table["age"], 21))
    changed = Monitor(model).check(young, score=True)

    def alarmed(report: Any) -> set[str]:
        return {
            one["column"] for one in report.to_json()["findings"] if one["column"].startswith("prediction_")
        }

    assert alarmed(usual) == set()
    assert "prediction_hours_per_week" in alarmed(changed)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"train": {"automl": "10s"}}, "the project has 3 targets, and `automl` predicts one"),
        ({"train": {}}, "say `train: {learner: network}`"),
        ({"target": ["income", "INCOME"]}, "'income' is named twice"),
        ({"target": ["income", "prediction"]}, "no column 'prediction' in the data"),
        (
            {"target": ["income", "long"], "prepare": {"derive": {"long": "hours_per_week > 40"}}},
            "is an input",
        ),
        ({"target": []}, "should be a valid string or a list of them"),
        ({"task": {"occupatio": "multiclass"}}, "'occupatio' is no target"),
        ({"evaluate": {"gates": {"targets": {"ocupation": {"mcc": "> 0"}}}}}, "did you mean 'occupation'?"),
        ({"task": {"occupation": "binary"}}, "binary needs two classes, target 'occupation' has"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_trained(
    tmp_path: Path, adult: dict[str, Any], keys: dict[str, Any], words: str
) -> None:
    first_rows(adult["folder"] / "data.csv", tmp_path, 300)
    write_project(tmp_path, **{**KEYS, **keys})
    begun: list[str] = []
    with pytest.raises(ProjectError) as caught:
        module.Project(tmp_path).run(sinks=[lambda stage, kind, data: begun.append(stage)])
    assert words in str(caught.value)
    assert "train" not in begun


def test_all_else_goes_by_the_main_target(
    tmp_path: Path, adult: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Marks, attacks, explanations of every kind, thresholds, outliers and a champion of several targets."""
    first_rows(adult["folder"] / "data.csv", tmp_path, 500)
    (tmp_path / "champion.bsm").write_bytes(Path(adult["package"]).read_bytes())
    monkeypatch.setenv("BESSEMER_OWNER_KEY", "5e" * 32)
    keys = {
        **KEYS,
        "protect": {"mark": "crossover", "keys": 80, "disputes": 1},
        "train": {**TRAIN, "outliers": "ecod", "threshold": {"objective": "f1"}},
        "evaluate": {**QUICK, "champion": "champion.bsm", "slices": ["sex"], "fairness": ["sex"]},
        "attack": {"attacks": [{"query_search": {}}, "membership"], "rows": 8},
        "explain": {"explainers": ["permutation", "contributions", "lime", "counterfactuals"]},
        "package": {"ignore_gates": True},
    }
    write_project(tmp_path, **keys)
    made = module.load(module.Project(tmp_path).run().package)
    assert set(SAID) <= set(made.columns())
    assert made.evaluation["champion"]["log_loss"] > 0
    assert made.contents.json("robustness.json")["attacks"].keys() == {"query_search", "membership"}
    assert made.contents.json("certificate.json")["task"] == "binary"
    assert made.contents.json("explanations.json")["found"].keys() >= {
        "permutation",
        "lime",
        "counterfactuals",
    }
    assert made.predict_rows(made.sample[:1], outliers=True)[0]["outlier"] >= 0


def test_a_package_of_several_targets_is_given_to_a_project_of_one(
    tmp_path: Path, adult: dict[str, Any], model: Any
) -> None:
    first_rows(adult["folder"] / "data.csv", tmp_path, 400)
    (tmp_path / "given.bsm").write_bytes(Path(adult["package"]).read_bytes())
    keys = {
        "data": "data.csv",
        "target": "income",
        "prepare": {"given": "given.bsm"},
        "train": {"given": "given.bsm"},
        "explain": {"explainers": []},
        "evaluate": {**QUICK, "gates": {"beats": []}},
    }
    write_project(tmp_path, **keys)
    made = module.load(module.Project(tmp_path).run().package)
    assert made.columns() == ("prediction", "probability")
    table = pyarrow.csv.read_csv(adult["folder"] / "rows.csv")
    assert made.predict(table)["probability"].equals(model.predict(table)["probability"])


def test_a_target_may_be_called_anything(tmp_path: Path, adult: dict[str, Any], bessemer: Any) -> None:
    """Names of outputs, of values of every graph, of classes, and what templates and SQL would take for something."""
    renamed = {
        "hours_per_week": "prediction",
        "occupation": 'fea"tures; 100% \\ é/x',
        "income": "score",
        "age": "education_num_2",
    }
    table = pyarrow.csv.read_csv(adult["folder"] / "data.csv").slice(0, 400)
    table = table.rename_columns([renamed.get(name, name) for name in table.column_names])
    pq.write_table(table, tmp_path / "data.parquet")
    targets = [renamed[name] for name in KEYS["target"]]
    weights = {renamed["occupation"]: 2.0}
    gates = {"beats": [], "targets": {"prediction": {"rmse": "<= 40"}}}
    keys = {
        **KEYS,
        "data": "data.parquet",
        "target": targets,
        "train": {**TRAIN, "target_weights": weights},
        "evaluate": {**QUICK, "gates": gates},
    }
    write_project(tmp_path, **keys)
    package = module.Project(tmp_path).run().package
    model = module.load(package)
    (row,) = model.predict_rows(table.slice(0, 1).to_pylist())
    assert {"prediction", "prediction_prediction", f"prediction_{renamed['occupation']}"} <= set(row)
    predicted = bessemer("predict", package, "data.parquet", "-o", "out.csv", cwd=tmp_path)
    assert predicted.returncode == 0, predicted.stderr
