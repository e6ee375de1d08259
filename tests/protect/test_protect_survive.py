"""Survival is measured as the graph answers, on rows whose part in the training is told."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bessemer.core import canonical
from bessemer.core.artifact import Artifact
from bessemer.core.errors import UsageError
from bessemer.core.grouping import Grouping
from bessemer.core.store import Store
from bessemer.package.certificate import Certificate
from bessemer.package.decision import Decision
from bessemer.protect.survive import survived

HASH = "00" * 32
CERTIFICATE = Certificate(HASH, HASH, HASH, "binary", ("no", "yes"), (), 4, 4, 64)
REGIONS = Grouping("region", "string", levels=("north", "south"))
PLANS = Grouping("plan", "string", levels=("a", "b"))


@dataclass(frozen=True)
class Made:
    artifacts: dict[str, Artifact]

    def artifact(self, name: str) -> Artifact:
        return self.artifacts[name]


def npy(values: Any, dtype: type = np.float64) -> bytes:
    content = io.BytesIO()
    np.save(content, np.asarray(values, dtype=dtype), allow_pickle=False)
    return content.getvalue()


def parquet(**columns: list[str]) -> bytes:
    content = io.BytesIO()
    pq.write_table(pa.table(columns), content)
    return content.getvalue()


def made(folder: Path, decision: Decision, *, valid: int = 6, automl: bool = False) -> Made:
    """A model that says a probability of 0.6 of every row; `region` is read by the thresholds alone."""
    X = np.zeros((4, 1), dtype=np.float32)
    model = {
        "task": "binary",
        "classes": ["no", "yes"],
        "calibration": {"scale": 1.0, "offset": 0.0},
        "decision": decision.to_json(),
        "native": {"kind": "constant", "file": "native/constant.json"},
    }
    score = canonical.dump_bytes({"score": [float(np.log(0.6 / 0.4))]})
    files: dict[str, dict[str, bytes]] = {
        "keys": {
            "keys.X.npy": npy(X, np.float32),
            "keys.y.npy": npy([0, 1, 1, 0]),
            "keys.parquet": parquet(plan=["a", "b", "a", "b"]),
        },
        "certificate": {"certificate.json": canonical.dump_bytes(CERTIFICATE.to_json())},
        "splits": {
            "test.X.npy": npy(X, np.float32),
            "test.y.npy": npy([1, 0, 1, 1]),
            "test.parquet": parquet(plan=["a", "b", "a", "a"], region=["north", "north", "south", "east"]),
            "valid.X.npy": npy(np.zeros((valid, 1)), np.float32),
            "valid.y.npy": npy(np.arange(valid) % 2),
        },
        "model": {"model.json": canonical.dump_bytes(model), "native/constant.json": score},
        "history": {"history.json": canonical.dump_bytes({"automl": {}} if automl else {})},
    }
    meta = {"keys": {"keys": 4}, "splits": {"rows": {"train": 9, "valid": valid, "test": 4}}}
    store = Store(folder)
    return Made({name: store.get(store.put(name, of, meta.get(name, {}))) for name, of in files.items()})


def test_each_row_is_judged_by_the_threshold_of_its_group(tmp_path: Path) -> None:
    """plan x region, the last of each unknown: only the first plan in the north, and all of unknown regions, are
    above theirs."""
    table = (0.5, 0.7, 0.5, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7)
    found = next(survived(made(tmp_path, Decision(0.7, groups=(PLANS, REGIONS), table=table))))
    assert found.metric == 0.75  # yes, no, no, yes of yes, no, yes, yes
    assert found.verdict is not None
    assert found.verdict.hits == 2  # keys have no region: yes, no, yes, no of no, yes, yes, no


@pytest.mark.parametrize(("threshold", "metric"), [(0.5, 0.75), (0.7, 0.25), (1.0, 0.25)])
def test_without_groups_there_is_one_threshold(tmp_path: Path, threshold: float, metric: float) -> None:
    assert next(survived(made(tmp_path, Decision(threshold)))).metric == metric


def test_without_validation_rows_no_thief_can_learn(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no valid rows, which the thief needs"):
        next(survived(made(tmp_path, Decision(), valid=0)))


@pytest.mark.parametrize("automl", [False, True])
def test_rows_that_were_learnt_from_are_told_of(tmp_path: Path, automl: bool) -> None:
    rows = [one.to_json() for one in survived(made(tmp_path, Decision(), automl=automl), ["distil", "cut"])]
    assert [row["removal"] for row in rows] == ["as it is", "distilled into a student", "cut"]
    assert {row["learnt_from"] for row in rows} == {automl}
