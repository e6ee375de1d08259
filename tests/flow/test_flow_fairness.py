"""Mitigation from the project file to the package, on adult: the disparity falls, and what it costs is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
from tests_support import write_project

import bessemer as bessemer_module
from bessemer.package.decision import Decision

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, shared: Path, bessemer: Any) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("fairness")
    write_project(
        folder,
        data=str(shared / "adult" / "train.csv"),
        target="income",
        prepare={"exclude": ["sex", "race"]},
        train={"learner": "linear", "threshold": {"groups": ["sex"], "fair": "demographic_parity"}},
        evaluate={
            "fairness": ["sex", "race"],
            "find_slices": False,
            "gates": {"fairness": {"disparate_impact": ">= 0.1"}},
        },
        explain={"explainers": ["contributions"]},
    )
    done = bessemer("run", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    return {"folder": folder, **json.loads(done.stdout)}


def test_the_disparity_falls_on_rows_nobody_chose_by(ran: dict[str, Any]) -> None:
    model = bessemer_module.load(ran["package"])
    evaluation = model.contents.json("evaluation.json")
    fairness, found = evaluation["fairness"], evaluation["fairness"]["mitigation"]["thresholds"]
    parity = found["criteria"]["sex"]["demographic_parity"]
    assert parity["before"] > 0.1
    assert parity["high"] < -0.05
    assert fairness["criteria"]["sex"]["disparate_impact"]["low"] > 0.6
    assert found["metrics"]["accuracy"]["high"] < 0  # it costs accuracy, for certain
    assert fairness["inputs"] == {"sex": True, "race": False}
    assert {"relationship", "marital_status"} <= {c["column"] for c in fairness["proxies"]["sex"]["columns"]}
    assert "a threshold for each group of sex" in model.contents.text("card.md")


def test_the_package_decides_by_group_and_does_without_the_group(ran: dict[str, Any], shared: Path) -> None:
    model = bessemer_module.load(ran["package"])
    decision = Decision.from_json(model.contents.json("model.json")["decision"])
    table = pyarrow.csv.read_csv(shared / "adult" / "test.csv").slice(0, 3000).drop(["race", "income"])
    names = [field.name for field in model.signature.inputs]
    assert "sex" in names
    assert "race" not in names
    for rows in (
        table,
        table.set_column(table.column_names.index("sex"), "sex", pa.nulls(3000, pa.string())),
    ):
        made = model.predict(rows)
        said = made["probability"].to_numpy() >= decision.thresholds(rows, 3000)
        assert np.array_equal(np.array(made["prediction"].to_pylist()) == ">50K", said)
    one = table.slice(7, 1).to_pylist()[0]
    assert (
        next(iter(model.predict_rows([one])))["prediction"] == model.predict(table)["prediction"][7].as_py()
    )
