"""Spark answers as DuckDB does: in this process, on a small cluster, through Spark Connect."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bessemer.acquire.sources.at_engine import AtEngineSource
from bessemer.acquire.spec import AcquireSpec
from bessemer.acquire.stage import run
from bessemer.core.errors import DataError, EnvironmentFault
from bessemer.engines.remote import Remote
from bessemer.engines.spark import Spark, SparkSettings
from engines.agreement import agrees, context, derived_agree, differences, duckdb_rows, landed_rows, remote
from engines.cases import CASES, tables
from systems.spark import QUICK, connect_server

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    folder = tmp_path_factory.mktemp("spark")
    engine = Spark(SparkSettings(master="local[1]", config=QUICK), context(folder))
    yield remote(engine, "spark", tables(), folder)
    engine.close()


@pytest.mark.parametrize("name", CASES)
def test_the_table_is_the_one_of_duckdb(name: str, there: Remote, tmp_path: Path) -> None:
    agrees(CASES[name], there, tmp_path)


def test_a_stream_has_the_five_types(there: Remote, tmp_path: Path) -> None:
    agrees(CASES["all columns"], there, tmp_path, landed_rows)


def test_derived_features_are_the_same(there: Remote, tmp_path: Path) -> None:
    derived_agree(there, tmp_path)


def test_wrong_sql_is_told_as_by_duckdb(there: Remote) -> None:
    with pytest.raises(DataError, match="did you mean 'price'"):
        there.query("select pric from orders")
    with pytest.raises(DataError, match="did you mean 'orders'"):
        there.query("select * from order_s")


def test_a_query_that_fails_says_why(there: Remote) -> None:
    query = there.query("select cast(note as int) as n, id from orders")
    with pytest.raises(DataError, match="CAST_INVALID_INPUT"):
        there.engine.ask(query.sql)


def _project(folder: Path, **acquire: object) -> AcquireSpec:
    for name, rows in tables().items():
        pq.write_table(rows, folder / f"{name}.parquet")
    sources = {name: {"parquet": f"{name}.parquet"} for name in tables()}
    return AcquireSpec.model_validate({"sources": sources, "sql": CASES["left join"], **acquire})


def _landed(spec: AcquireSpec, folder: Path) -> pa.Table:
    ctx = context(folder)
    ctx.project_dir = folder
    return pq.read_table(ctx.open(run(spec, {}, ctx)["raw"]).path("data.parquet"))


def test_a_project_lands_the_same_snapshot_twice(there: Remote, tmp_path: Path) -> None:
    spec = _project(tmp_path, engine={"spark": {"master": "local[1]", "config": QUICK}})
    first, second = _landed(spec, tmp_path), _landed(spec, tmp_path)
    assert first.equals(second)
    duckdb = _landed(_project(tmp_path), tmp_path)
    assert first.sort_by("id").equals(duckdb.sort_by("id"))


def test_sources_of_other_types_go_to_the_engine(there: Remote, tmp_path: Path) -> None:
    rows = pa.table(
        {
            "id": pa.array([1, 2], pa.uint8()),
            "ns": pa.array([dt.datetime(2020, 1, 1), None], pa.timestamp("ns")),
            "nested": pa.array([{"a": 1}, None], pa.struct([("a", pa.int64())])),
            "time": pa.array([dt.time(1, 2, 3), None], pa.time64("us")),
            "wide": pa.array([2**62, 1], pa.uint64()),
            "binary": pa.array([b"x", None], pa.binary()),
        }
    )
    pq.write_table(rows, tmp_path / "odd.parquet")
    given = {"sources": {"odd": {"parquet": "odd.parquet"}}}
    engine = {"spark": {"master": "local[1]", "config": QUICK}}
    spark = _landed(AcquireSpec.model_validate({**given, "engine": engine}), tmp_path).sort_by("id")
    assert spark.column_names == ["id", "ns", "nested", "time", "wide"]
    assert spark["nested"].to_pylist() == ['{"a":1}', None]
    assert spark["time"].to_pylist() == [3723.0, None]
    assert spark["ns"].type == pa.timestamp("us")


def test_a_table_of_the_catalog_is_read_where_it_is(there: Remote, tmp_path: Path) -> None:
    there.engine.session.sql(  # type: ignore[attr-defined]
        "CREATE OR REPLACE TEMP VIEW counted AS SELECT id, id * 2 AS twice, ARRAY(id) AS list FROM range(5)"
    )
    spark = there.engine
    relation = spark.find("at_engine", AtEngineSource(at_engine="counted"))
    assert relation == "`counted`"
    far = Remote(spark, "spark")
    far.add("counted", relation)
    assert far.engine.ask(far.query("select * from counted where id > 3").sql) == [(4, 8)]
    given = {"sources": {"c": {"at_engine": "db.missing"}}, "engine": {"spark": {"config": QUICK}}}
    with pytest.raises(DataError, match="TABLE_OR_VIEW_NOT_FOUND"):
        _landed(AcquireSpec.model_validate(given), tmp_path)
    with pytest.raises(DataError, match="name the engine"):
        _landed(AcquireSpec.model_validate({**given, "engine": "duckdb"}), tmp_path)


def test_a_cluster_of_two_workers(there: Remote, tmp_path: Path) -> None:
    there.engine.close()  # one Spark at a time in a process
    engine = Spark(
        SparkSettings(master="local-cluster[2,1,1024]", config={"spark.sql.shuffle.partitions": "2"}),
        context(tmp_path),
    )
    try:
        far = remote(engine, "spark", tables(), tmp_path)
        for name in ("groups", "windows"):
            columns, rows = duckdb_rows(CASES[name], tables(), tmp_path)
            found, answer = landed_rows(CASES[name], far)
            assert (found, differences(rows, answer)) == (columns, [])
    finally:
        engine.close()


def test_spark_connect(tmp_path: Path) -> None:
    with connect_server(tmp_path) as url:
        settings = SparkSettings(master=url, folder=str(tmp_path / "shared"))
        engine = Spark(settings, context(tmp_path))
        try:
            far = remote(engine, "spark", tables(), tmp_path)
            for name in ("all columns", "zones"):
                columns, rows = duckdb_rows(CASES[name], tables(), tmp_path)
                found, answer = landed_rows(CASES[name], far)
                assert (found, differences(rows, answer)) == (columns, [])
            with pytest.raises(DataError, match="CAST_INVALID_INPUT"):
                engine.ask(far.query("select cast(note as int) as n, id from orders").sql)
        finally:
            engine.close()


def test_a_cluster_that_does_not_answer(tmp_path: Path) -> None:
    settings = SparkSettings(master="sc://127.0.0.1:9", folder=str(tmp_path))
    with pytest.raises(EnvironmentFault, match="does not answer"):
        Spark(settings, context(tmp_path)).ask("SELECT 1")


def test_a_cluster_needs_a_folder_in_common(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no folder in common"):
        Spark(SparkSettings(master="spark://somewhere:7077"), context(tmp_path))
