"""A whole run with attacks: they are in the package and the report, and a gate that fails stops it."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from bessemer.api import Project
from bessemer.core.errors import GateError

pytestmark = pytest.mark.slow

SAID: dict[str, Any] = {
    "name": "demo",
    "data": "rows.csv",
    "target": "Churn",
    "train": {"learner": "linear"},
    "evaluate": {"gates": {"beats": []}, "replicates": 20},
    "explain": {"explainers": ["permutation"], "rows": 100},
    "attack": {"attacks": [{"pgd": {"steps": 5}}, "square"], "rows": 30},
}


@pytest.fixture
def project(shared: Path, tmp_path: Path) -> Any:
    lines = (shared / "telco" / "train.csv").read_text("utf-8").splitlines(keepends=True)
    (tmp_path / "rows.csv").write_text("".join(lines[:500]), "utf-8")

    def write(**attack: Any) -> Project:
        said = {**SAID, "attack": {**SAID["attack"], **attack}}
        (tmp_path / "bessemer.yaml").write_text(yaml.safe_dump(said), "utf-8")
        return Project(tmp_path)

    yield write
    shutil.rmtree(tmp_path / ".bessemer", ignore_errors=True)


def test_what_was_found_ships_with_the_model(project: Any) -> None:
    run = project(gates={"pgd": ">= 1% at 0.1"}).run()
    with zipfile.ZipFile(run.package) as packed:
        found = json.loads(packed.read("robustness.json"))
        page = packed.read("report.html").decode()
    curve = [point["value"] for point in found["attacks"]["pgd"]["curve"]]
    assert curve[0] > curve[-1], "a linear model gives way to its own gradient"
    assert "not one image" in found["attacks"]["square"]["refused"]
    assert found["passed"]
    data = re.search(r'id="bessemer-data">(.*?)</script>', page, re.DOTALL)
    assert data is not None
    assert json.loads(data[1])["robustness"]["gates"][0]["gate"] == "pgd"


def test_a_failed_gate_leaves_no_package(project: Any, tmp_path: Path) -> None:
    with pytest.raises(GateError, match="failed 1 gate") as caught:
        project(gates={"pgd": ">= 100%"}).run()
    assert "accuracy under attack" in caught.value.why
    assert not list(tmp_path.glob("build/*.bsm"))
