"""With a sample, the whole table stays at the engine: it is counted and checked there, and only the sample travels."""

from __future__ import annotations

import datetime as dt
import json
import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import bessemer
from bessemer.acquire.spec import AcquireSpec
from bessemer.acquire.stage import run as acquire
from bessemer.core.artifact import Artifact
from bessemer.core.errors import ContractError, DataError
from bessemer.engines.spark import Spark
from bessemer.validate.findings import BrokenContract
from bessemer.validate.spec import ValidateSpec
from bessemer.validate.stage import run as validate
from engines.agreement import context
from engines.learning import Travelled, counted
from systems.spark import QUICK

pytestmark = pytest.mark.slow

ROWS, SAMPLE = 5_000, 400
ENGINE = {"spark": {"master": "local[1]", "config": QUICK}}


def _table() -> pa.Table:
    index = range(ROWS)
    start = dt.datetime(2020, 1, 1)
    return pa.table(
        {
            "id": pa.array(index, pa.int64()),
            "amount": pa.array([None if i % 50 == 0 else math.sin(i) * 100 for i in index], pa.float64()),
            "count": pa.array([i * 7 % 13 - 3 for i in index], pa.int64()),
            "city": pa.array(["", "Köln", "Zürich", "東京", None][i % 5] for i in index),
            "code": pa.array([f"c{i % 300:03d}" for i in index]),
            "paid": pa.array([None if i % 97 == 0 else i % 3 == 0 for i in index]),
            "when": pa.array([start + dt.timedelta(minutes=i) for i in index], pa.timestamp("us")),
        }
    )


@pytest.fixture
def travelled(monkeypatch: pytest.MonkeyPatch) -> Travelled:
    return counted(Spark, monkeypatch)


def _run(folder: Path, spec: ValidateSpec | None = None, **settings: Any) -> dict[str, Artifact]:
    folder.mkdir(exist_ok=True)
    pq.write_table(_table(), folder / "events.parquet")
    given = {"sources": {"events": {"parquet": "events.parquet"}}, "sql": "select * from events", **settings}
    ctx = context(folder)
    ctx.project_dir = folder
    raw = acquire(AcquireSpec.model_validate(given), {}, ctx)
    found = {**raw, **validate(spec or ValidateSpec(), raw, ctx)}
    return {name: ctx.open(ref) for name, ref in found.items()}


def _statistics(found: dict[str, Artifact]) -> Any:
    return json.loads(found["statistics"].path("statistics.json").read_text())


def _close(left: Any, right: Any) -> bool:
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(_close(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(_close, left, right))
    if isinstance(left, float) or isinstance(right, float):
        return math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-9)
    return bool(left == right)


def test_statistics_are_of_all_rows_and_only_the_sample_travels(travelled: Travelled, tmp_path: Path) -> None:
    far = _run(tmp_path / "far", engine=ENGINE, sample=SAMPLE)
    near = _run(tmp_path / "near")
    assert far["raw"].meta["rows"] == travelled.streamed
    assert abs(travelled.streamed - SAMPLE) < 6 * math.sqrt(SAMPLE)
    assert sum(travelled.answers) < SAMPLE  # counts and the most frequent values
    assert far["raw"].meta["whole"]["rows"] == ROWS
    ours, theirs = _statistics(far), _statistics(near)
    assert ours["rows"] == ROWS
    for name, facts in theirs["columns"].items():
        assert _close(ours["columns"][name], facts), (name, ours["columns"][name], facts)
    contracts = [(tmp_path / side / "contract.yaml").read_text() for side in ("far", "near")]
    assert contracts[0] == contracts[1]
    there = [entry.name for entry in (tmp_path / "far" / "store" / "engine").iterdir()]
    assert there == [far["raw"].meta["whole"]["table"]]  # what was brought is gone again
    again = _run(tmp_path / "far", engine=ENGINE, sample=SAMPLE)
    assert again["raw"].ref == far["raw"].ref  # the same rows in the same order
    assert pq.read_table(again["data"].path("data.parquet")).num_rows == far["raw"].meta["rows"]


CONTRACT = """
columns:
  id: {type: integer, nullable: false, unique: true}
  amount: {type: number, nullable: true, min: -99, max: 1000, finite: true}
  count: {type: integer, nullable: false, max: 8}
  city: {type: string, nullable: true, values: ["", "Köln", "Zürich", "東京"]}
  code: {type: string, nullable: false, pattern: "c[0-9]+"}
  paid: {type: boolean, nullable: true}
  when: {type: timestamp, nullable: false, min: 2020-01-01T00:30:00}
"""


def test_the_contract_is_enforced_on_all_rows(travelled: Travelled, tmp_path: Path) -> None:
    for side in ("far", "near"):
        (tmp_path / side).mkdir()
        (tmp_path / side / "contract.yaml").write_text(CONTRACT, "utf-8")
    allowed = ValidateSpec(quarantine=0.5)
    far = _run(tmp_path / "far", allowed, engine=ENGINE, sample=SAMPLE)
    near = _run(tmp_path / "near", allowed)
    assert far["quarantine"].meta == near["quarantine"].meta
    assert far["quarantine"].meta["by_rule"]["when: min"] == 30
    assert _close(_statistics(far)["columns"], _statistics(near)["columns"])
    data = pq.read_table(far["data"].path("data.parquet"))
    aside = pq.read_table(far["quarantine"].path("quarantine.parquet"))
    assert data.num_rows + aside.num_rows == far["raw"].meta["rows"] == travelled.streamed
    assert max(data["count"].to_pylist()) <= 8
    with pytest.raises(ContractError, match="5,000 rows") as stopped:
        _run(tmp_path / "far", ValidateSpec(quarantine=0.01), engine=ENGINE, sample=SAMPLE)
    assert "count: max" in str(stopped.value)


def test_a_table_that_is_gone_is_told(tmp_path: Path) -> None:
    ctx = context(tmp_path)
    ctx.project_dir = tmp_path
    pq.write_table(_table(), tmp_path / "events.parquet")
    given = {"sources": {"events": {"parquet": "events.parquet"}}, "engine": ENGINE, "sample": SAMPLE}
    raw = acquire(AcquireSpec.model_validate(given), {}, ctx)
    kept = ctx.open(raw["raw"]).meta["whole"]["table"]
    for file in (tmp_path / "store" / "engine" / kept).iterdir():
        file.unlink()
    with pytest.raises(DataError, match="no longer at spark"):
        validate(ValidateSpec(), raw, ctx)


EXPECT = """
columns:
  id: {type: integer, nullable: false}
  count: {type: integer, nullable: false, max: 9}
expect:
  - sql: "count <> 3"
"""


def test_rows_that_break_an_expectation_are_set_aside(tmp_path: Path) -> None:
    """They are found in the sample, and counted as so many of all rows."""
    (tmp_path / "contract.yaml").write_text(EXPECT, "utf-8")
    found = _run(tmp_path, ValidateSpec(quarantine=0.5), engine=ENGINE, sample=SAMPLE)
    data = pq.read_table(found["data"].path("data.parquet"))
    aside = pq.read_table(found["quarantine"].path("quarantine.parquet"))
    assert 3 not in data["count"].to_pylist()
    assert set(aside["count"].to_pylist()) == {3}
    assert data.num_rows + aside.num_rows == found["raw"].meta["rows"]
    all_rows = round(aside.num_rows * ROWS / found["raw"].meta["rows"])
    assert found["quarantine"].meta["rows"] == all_rows
    assert list(found["quarantine"].meta["by_rule"].values()) == [all_rows]
    with pytest.raises(ContractError, match=r"0\.1% are allowed"):
        _run(tmp_path, ValidateSpec(quarantine=0.001), engine=ENGINE, sample=SAMPLE)


def test_what_is_accepted_is_the_whole_table(tmp_path: Path) -> None:
    """A contract that the sample keeps and the table does not is changed so that the table keeps it."""
    rows = pa.table({"id": pa.array(range(ROWS), pa.int64()), "kind": [f"k{i % 400}" for i in range(ROWS)]})
    pq.write_table(rows, tmp_path / "events.parquet")
    settings = json.dumps({
        "target": "kind",
        "acquire": {
            "sources": {"events": {"parquet": "events.parquet"}}, "engine": ENGINE, "sample": 50,
            "sql": "select * from events",
        },
    })  # fmt: skip
    (tmp_path / "bessemer.yaml").write_text(settings, "utf-8")
    contract = "columns:\n  id: {type: integer, nullable: false, max: 10}\n  kind: {type: string}\n"
    (tmp_path / "contract.yaml").write_text(contract, "utf-8")
    project = bessemer.Project(tmp_path)
    proposed = project.contract.propose()
    assert f"max: {ROWS - 1}" in proposed.text
    assert proposed.accepted.rows == ROWS
    project.contract.accept(proposed)
    checked = project.contract.check()
    assert (checked.passed, checked.rows, checked.aside) == (True, ROWS, 0)


def test_keys_that_stand_twice_stop_the_run_where_the_sample_has_them_once(tmp_path: Path) -> None:
    """They are counted among the rows that break no other rule."""
    half = ROWS // 2
    rows = pa.table({"id": pa.array([i % half for i in range(ROWS)], pa.int64()), "n": [-1, *range(1, ROWS)]})
    pq.write_table(rows, tmp_path / "events.parquet")
    contract = "columns:\n  id: {type: integer, unique: true}\n  n: {type: integer, min: 0}\n"
    (tmp_path / "contract.yaml").write_text(contract, "utf-8")
    given = {"sources": {"events": {"parquet": "events.parquet"}}, "engine": ENGINE, "sample": 5}
    ctx = context(tmp_path)
    ctx.project_dir = tmp_path
    raw = acquire(AcquireSpec.model_validate(given), {}, ctx)
    with pytest.raises(BrokenContract, match="2,500 of 5,000 rows") as stopped:
        validate(ValidateSpec(), raw, ctx)
    assert {f.name: f.rows for f in stopped.value.findings} == {"id: unique": half, "n: min": 1}
