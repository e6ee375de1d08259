"""AutoML from the raw table to the package: one graph, one leaderboard, within the budget."""

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

pytestmark = pytest.mark.slow

LEARNERS = ["lightgbm", "xgboost", "catboost", "linear"]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, shared: Path, bessemer: Any) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("automl")
    automl = {"budget": "20s", "learners": LEARNERS, "search": "none", "members": 4}
    write_project(
        folder,
        data=str(shared / "telco" / "test.csv"),
        target="Churn",
        train={"automl": automl, "metric": "roc_auc", "rounds": 150},
    )
    done = bessemer("run", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    return {"folder": folder, **json.loads(done.stdout)}


def strange(table: pa.Table) -> pa.Table:
    """The same rows, each with something that training has not seen: nulls, and words from elsewhere."""
    rng = np.random.default_rng(0)
    columns = {}
    for name in table.column_names:
        values = table.column(name).to_pylist()
        for row in np.flatnonzero(rng.random(len(values)) < 0.3):
            values[row] = None if rng.random() < 0.5 or not isinstance(values[row], str) else f"unseen {row}"
        columns[name] = pa.array(values, table.schema.field(name).type)
    return pa.table(columns)


def test_the_graph_says_what_the_members_say_on_every_row(ran: dict[str, Any], shared: Path) -> None:
    model = bessemer_module.load(ran["package"])
    rows = pa.csv.read_csv(shared / "telco" / "train.csv").drop_columns(["Churn"])
    for table in (rows, strange(rows)):
        made = model.session.run(table, ["features", "score"], allow_missing=True)
        graph, members = made["score"], model.explainer.score(made["features"])
        np.testing.assert_allclose(graph, members, rtol=1e-5, atol=1e-5)


def test_the_leaderboard_is_everywhere(ran: dict[str, Any], bessemer: Any) -> None:
    folder = ran["folder"]
    printed = bessemer("leaderboard", ran["run"], cwd=folder)
    assert printed.returncode == 0, printed.stderr
    board = json.loads(bessemer("leaderboard", "--json", cwd=folder).stdout)
    assert board == json.loads((folder / "build" / "leaderboard.json").read_text())
    names = [row["learner"] for row in board["rows"]]
    fitted = {name.split(",")[0] for name in names}
    assert {"constant", "linear", "lightgbm"} <= fitted
    skipped = {row["learner"].split(",")[0] for row in board["automl"]["skipped"]}  # where it is slow
    assert {"catboost", "xgboost"} <= fitted | skipped
    for row in board["rows"]:
        assert row["learner"] in printed.stdout
        assert row["params"] or row["learner"] in ("constant", "ensemble")
        assert row["fit_seconds"] >= 0
        assert row["predict_microseconds"] >= 0
        assert row["bytes"] > 0
    assert sum(row["chosen"] for row in board["rows"]) == 1
    assert 0 < board["automl"]["used"] < 2 * board["automl"]["budget"]
    assert "Leaderboard" in (folder / "build" / "report.html").read_text("utf-8")
