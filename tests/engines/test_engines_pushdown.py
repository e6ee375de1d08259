"""With a sample, the whole table stays at the engine: it is counted and checked there, and only the sample travels."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bessemer.acquire.spec import AcquireSpec
from bessemer.acquire.stage import run as acquire
from bessemer.core.artifact import Artifact
from bessemer.core.errors import ContractError, DataError
from bessemer.engines.spark import Spark
from bessemer.validate.spec import ValidateSpec
from bessemer.validate.stage import run as validate
from engines.agreement import context
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


class Travelled:
    """How many rows came from the engine, as a stream and as answers."""

    def __init__(self) -> None:
        self.streamed = self.answered = 0


@pytest.fixture
def travelled(monkeypatch: pytest.MonkeyPatch) -> Travelled:
    seen = Travelled()
    batches, ask = Spark.batches, Spark.ask

    def counted(self: Spark, sql: str) -> Iterator[pa.RecordBatch]:
        for batch in batches(self, sql):
            seen.streamed += batch.num_rows
            yield batch

    def answered(self: Spark, sql: str) -> list[tuple[Any, ...]]:
        rows = ask(self, sql)
        seen.answered += len(rows)
        return rows

    monkeypatch.setattr(Spark, "batches", counted)
    monkeypatch.setattr(Spark, "ask", answered)
    return seen


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
    assert travelled.answered < SAMPLE  # counts and the most frequent values
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
