"""A package and `bessemer serve` attacked from outside: no project, no training rows, answers alone."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bessemer.api import Project, attack
from bessemer.api.attacking import Asking
from bessemer.cli import group
from bessemer.core.errors import UsageError
from bessemer.serve.guards.keyfile import add_key

pytestmark = pytest.mark.slow

TRAIN = {"learner": "lightgbm", "rounds": 15, "params": {"num_leaves": 7, "learning_rate": 0.3}}


@pytest.fixture(scope="module")
def folder(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a package, and rows beside it."""
    made = tmp_path_factory.mktemp("attacked")
    lines = (shared / "telco" / "train.csv").read_text("utf-8").splitlines(keepends=True)
    (made / "rows.csv").write_text("".join(lines[:600]), "utf-8")
    said = {
        "name": "churn",
        "data": "rows.csv",
        "target": "Churn",
        "train": TRAIN,
        "explain": {"explainers": []},
    }
    said["track"] = {"mlflow": "off", "tensorboard": "off"}
    said["evaluate"] = {"gates": {"beats": []}, "replicates": 20}
    (made / "bessemer.yaml").write_text(json.dumps(said), "utf-8")
    Project(made).run(track=False)
    return made


@pytest.fixture(scope="module")
def package(folder: Path) -> str:
    return str(next((folder / "build").glob("*.bsm")))


@pytest.fixture(scope="module")
def served(folder: Path, package: str) -> Iterator[tuple[str, str]]:
    """The address of a server that takes one key, and the key."""
    key = add_key(folder / "keys.yaml", "auditor", scopes=["predict"])
    (folder / "serve.yaml").write_text(
        json.dumps(
            {
                "data": "x.csv",
                "target": "y",
                "serve": {"workers": 1, "access": {"keys": {"file": "keys.yaml"}}},
            }
        )
    )
    command = [sys.executable, "-m", "bessemer", "serve", package, "--port", "0", "--json"]
    process = subprocess.Popen(
        [*command, "--project", str(folder / "serve.yaml")], stdout=subprocess.PIPE, text=True, cwd=folder
    )
    assert process.stdout
    text = ""
    for line in iter(process.stdout.readline, ""):
        text += line
        if line == "}\n":
            break
    yield json.loads(text)["url"], key
    process.terminate()
    process.wait()


def curve(found: dict[str, Any], name: str) -> list[float]:
    return [point["value"] for point in found["attacks"][name]["curve"]]


SEARCH = {"query_search": {"budgets": [0.25, 1.0], "questions": 200}}


def test_a_package_is_attacked_without_its_project(folder: Path, package: str) -> None:
    minimal = {"minimal": {"budgets": [0.25, 1.0]}}
    interval = {"interval": {"budgets": [0.25, 1.0]}}
    found = attack(package, str(folder / "rows.csv"), attacks=[SEARCH, minimal, interval], rows=12)
    assert curve(found, "query_search")[0] == curve(found, "minimal")[0] > curve(found, "minimal")[2]
    for at in (1, 2):
        assert curve(found, "interval")[at] <= curve(found, "minimal")[at] <= curve(found, "query_search")[at]
    assert "no training rows are known" in found["attacks"]["minimal"]["notes"][0]


@pytest.mark.parametrize("path", ["/predict", "/v2/models/churn/infer"])
def test_a_server_is_attacked_by_questions(folder: Path, served: tuple[str, str], path: str) -> None:
    url, key = served
    from bessemer.package.remote.client import Door

    asking = Asking(Door(headers={"x-api-key": key}), questions=20_000, per_second=None)
    walk = {"hop_skip_jump": {"budgets": [0.25, 1.0], "steps": 2, "most_questions": 50}}
    given = {"attacks": [SEARCH, walk, "interval"], "rows": 5, "asking": asking}
    found = attack(url + path, str(folder / "rows.csv"), "Churn", **given)
    searched = found["attacks"]["query_search"]
    assert searched["rows"] == 5
    assert searched["curve"][0]["value"] > searched["curve"][2]["value"], "somebody falls within a deviation"
    assert searched["curve"][2]["more"]["queries"] > 50
    assert found["attacks"]["hop_skip_jump"]["curve"][2]["more"]["queries"] > 50
    assert "only answers" in found["attacks"]["interval"]["refused"]
    assert 0 < found["asked"] <= 20_000
    if path != "/predict":
        return
    again = attack(url + path, str(folder / "rows.csv"), "Churn", **given)
    assert again["attacks"] == found["attacks"], "the same seed finds the same"


def test_it_stops_when_the_purse_is_empty(folder: Path, served: tuple[str, str], monkeypatch: Any) -> None:
    url, key = served
    monkeypatch.setenv("SHOP_KEY", key)
    command = ["attack", f"{url}/predict", "--data", str(folder / "rows.csv"), "--target", "Churn", "--json"]
    command += ["--attack", json.dumps(SEARCH), "--questions", "1500", "--per-second", "5000"]
    done = CliRunner().invoke(group, [*command, "--key-env", "SHOP_KEY"], catch_exceptions=False)
    found = json.loads(done.stdout)
    searched = found["attacks"]["query_search"]
    assert found["asked"] <= 1500
    assert 0 < searched["rows"] < found["rows"]
    assert any("questions were enough for" in note for note in searched["notes"])


def test_a_server_that_refuses_is_said(folder: Path, served: tuple[str, str]) -> None:
    with pytest.raises(UsageError, match="refuses to answer: 401"):
        attack(f"{served[0]}/predict", str(folder / "rows.csv"), "Churn", rows=2)
    with pytest.raises(UsageError, match="so few questions"):
        attack(f"{served[0]}/predict", str(folder / "rows.csv"), "Churn", asking=Asking(questions=0))


def test_features_of_a_package_are_not_moved_where_its_columns_are_constrained(
    folder: Path, package: str
) -> None:
    walk = {"boundary": {"budgets": [0.25], "steps": 1}}
    found = attack(
        package,
        str(folder / "rows.csv"),
        attacks=[SEARCH, walk],
        rows=2,
        constraints={"tenure": {"increase_only": True}},
    )["attacks"]
    assert "constraints of 'tenure'" in found["boundary"]["refused"]
    assert found["query_search"]["rows"] == 2
