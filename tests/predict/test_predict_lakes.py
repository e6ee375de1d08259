"""Predictions into Delta and Iceberg tables: each batch once, whatever is killed, beside others who write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import deltalake
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bessemer.core.errors import EnvironmentFault, StoreError, UsageError
from bessemer.package.write import write_package
from bessemer.predict.job import predict
from bessemer.predict.plugins import SINKS
from bessemer.predict.protocol import Progress, Target
from bessemer.predict.target import target_of
from bessemer.testing.models import tiny_members
from bessemer.testing.sinks import CHECKS, batch, job

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lake").mkdir()
    settings = {
        "type": "sql",
        "uri": f"sqlite:///{tmp_path}/catalog.db",
        "warehouse": f"file://{tmp_path}/lake",
    }
    for key, value in settings.items():
        monkeypatch.setenv(f"PYICEBERG_CATALOG__LAKE__{key.upper()}", value)


def catalog() -> Any:
    from bessemer.acquire.sources.iceberg import catalog_named

    return catalog_named("lake")


def targets(folder: Path) -> dict[str, Target]:
    return {
        "delta": Target("delta", str(folder / "scored")),
        "iceberg": Target("iceberg", "shop.scored", options={"catalog": "lake"}),
    }


def table_of(target: Target) -> pa.Table:
    if target.kind == "delta":
        return deltalake.DeltaTable(target.where).to_pyarrow_table()
    return catalog().load_table(target.where).scan().to_arrow()


def rows_of(target: Target) -> list[dict[str, Any]]:
    return table_of(target).sort_by("id").to_pylist()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("kind", ["delta", "iceberg"])
def test_each_sink_keeps_each_promise(kind: str, check: Any, tmp_path: Path) -> None:
    check(SINKS.ref(kind).target, targets(tmp_path)[kind], rows_of)


def write(target: Target, key: str, first: int, last: int, **more: Any) -> Any:
    """A sink of a job that has batches; it is not finished."""
    sink = SINKS.load(target.kind)(target, job(key, **more))
    sink.open()
    for number in range(first, last):
        sink.write(batch(number), Progress(number + 1, 4 * (number + 1), 0, 4 * (number + 1)))
    return sink


@pytest.mark.parametrize("kind", ["delta", "iceberg"])
def test_two_that_write_one_job_are_told_apart(kind: str, tmp_path: Path) -> None:
    target = targets(tmp_path)[kind]
    first = write(target, "a", 0, 1)
    second = SINKS.load(kind)(target, job("a"))
    assert second.open().batches == 1
    first.write(batch(1), Progress(2, 8, 0, 8))
    with pytest.raises(EnvironmentFault, match="another `bessemer predict` writes this job"):
        second.write(batch(1), Progress(2, 8, 0, 8))
    second.close()
    first.finish()
    first.close()
    assert [row["id"] for row in rows_of(target)] == list(range(8))


@pytest.mark.parametrize("kind", ["delta", "iceberg"])
def test_jobs_that_write_at_once_lose_nothing(kind: str, tmp_path: Path) -> None:
    target = targets(tmp_path)[kind]
    one, other = write(target, "a", 0, 1), write(target, "b", 0, 1)
    for number in range(1, 4):
        for sink in (one, other):
            sink.write(batch(number), Progress(number + 1, 4 * (number + 1), 0, 0))
    for sink in (one, other):
        sink.finish()
        sink.close()
    assert [row["id"] for row in rows_of(target)] == sorted([*range(16), *range(16)])


def test_a_delta_table_with_more_columns_is_appended_to(tmp_path: Path) -> None:
    there = pa.table({"probability": [0.5], "more": ["x"], "id": [-1], "prediction": ["old"]})
    deltalake.write_deltalake(tmp_path / "scored", there)
    sink = write(targets(tmp_path)["delta"], "a", 0, 2)
    sink.finish()
    rows = rows_of(targets(tmp_path)["delta"])
    assert [row["id"] for row in rows] == [-1, *range(8)]
    assert [row["more"] for row in rows] == ["x", *[None] * 8]
    deltalake.write_deltalake(tmp_path / "bare", pa.table({"id": [1], "prediction": ["a"]}))
    with pytest.raises(UsageError, match="no column 'probability'"):
        write(Target("delta", str(tmp_path / "bare")), "a", 0, 1)
    deltalake.write_deltalake(
        tmp_path / "other", pa.table({"id": ["text"], "prediction": [1], "probability": ["x"]})
    )
    with pytest.raises(StoreError, match="cannot write"):
        write(Target("delta", str(tmp_path / "other")), "a", 0, 1)


@pytest.mark.parametrize("kind", ["delta", "iceberg"])
def test_batches_wait_for_one_commit_and_commits_say_whose_they_are(kind: str, tmp_path: Path) -> None:
    target = targets(tmp_path)[kind]
    of = job("a", facts={"model": "churn", "version": "3"})
    sink = SINKS.load(kind)(target, of.__class__(**{**vars(of), "every": 1000.0}))
    sink.open()
    for number in range(5):
        sink.write(batch(number), Progress(number + 1, 4 * (number + 1), 0, 0))
    assert not rows_of(target)
    sink.finish()
    assert len(rows_of(target)) == 20
    if kind == "delta":
        history = deltalake.DeltaTable(target.where).history()
        assert [entry["operation"] for entry in history] == ["WRITE", "WRITE"]
        assert (history[0]["bessemer.model"], history[0]["bessemer.job"]) == ("churn", "a" * 64)
    else:
        (snapshot,) = catalog().load_table(target.where).snapshots()
        assert snapshot.summary["bessemer.version"] == "3"


@pytest.mark.parametrize("kind", ["delta", "iceberg"])
def test_a_restart_is_refused_where_rows_of_the_job_are_there(kind: str, tmp_path: Path) -> None:
    target = targets(tmp_path)[kind]
    write(target, "a", 0, 1).close()
    with pytest.raises(UsageError, match="has rows of this job"):
        write(target, "a", 0, 1, restart=True)
    write(target, "b", 0, 1, restart=True).close()


def test_progress_outlasts_the_log(tmp_path: Path) -> None:
    """A table whose log is cleaned up, and whose snapshots expire, still knows its jobs."""
    target = targets(tmp_path)["delta"]
    write(target, "a", 0, 3).close()
    table = deltalake.DeltaTable(target.where)
    table.create_checkpoint()
    for version in range(table.version()):
        (Path(target.where) / "_delta_log" / f"{version:020}.json").unlink()
    assert SINKS.load("delta")(target, job("a")).open().batches == 3


def test_words_that_mean_nothing(tmp_path: Path) -> None:
    assert target_of({"delta": "lake/scored/"}) == Target("delta", "lake/scored/")
    assert target_of("{iceberg: shop.scored, catalog: lake}").options == {"catalog": "lake"}
    for words, said in (
        ({"delta": "x", "table": "y"}, "no option 'table' for delta"),
        ({"iceberg": "shop.x"}, "no catalog is named"),
        ({"iceberg": "shop.x", "catalog": "lake", "snapshot": 1}, "no option 'snapshot'"),
    ):
        target = target_of(words)
        with pytest.raises(UsageError, match=said):
            SINKS.load(target.kind)(target, job())


def test_a_job_from_a_lake_into_a_lake(tmp_path: Path) -> None:
    """The rows of a version are read, which rows deleted from the table are not among, and goes on after a kill."""
    facts = {"name": "churn", "version": "1", "created": "2026-01-01T00:00:00Z"}
    write_package(tmp_path / "churn.bsm", tiny_members("binary"), **facts, task="binary", target="churned")
    from bessemer.package.model import load

    model = load(tmp_path / "churn.bsm")
    rows = pa.table({"id": range(1000), "tenure": [i % 70 for i in range(1000)]})
    deltalake.write_deltalake(tmp_path / "new", rows)
    deltalake.DeltaTable(tmp_path / "new").delete("id >= 900")
    assert len(list((tmp_path / "new").glob("*.parquet"))) == 2, "the old file is there still"
    out = {"delta": str(tmp_path / "scored")}
    for source in (str(tmp_path / "new"), {"delta": str(tmp_path / "new")}):
        done = predict(model, source, out, keep=["id"], batch_rows=256)
        assert (done.rows, done.unstable) == (900, "")
    found = rows_of(Target("delta", str(tmp_path / "scored")))
    assert {row["id"] for row in found} == set(range(900))
    again = predict(model, str(tmp_path / "new"), out, keep=["id"], batch_rows=256)
    assert again.taken_over == 900
    predict(model, str(tmp_path / "new"), tmp_path / "plain.parquet", keep=["id"])
    assert pq.read_table(tmp_path / "plain.parquet").num_rows == 900
