"""A PostgreSQL answers as DuckDB does."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pyarrow.parquet as pq
import pytest

from bessemer.acquire.sources.at_engine import AtEngineSource
from bessemer.acquire.sources.postgres import PostgresSource
from bessemer.acquire.spec import AcquireSpec
from bessemer.acquire.stage import run
from bessemer.core.errors import DataError
from bessemer.engines.postgres import Postgres, PostgresSettings
from bessemer.engines.remote import Remote
from engines.agreement import agrees, context, derived_agree, landed_rows, refuses, remote
from engines.cases import CASES, REFUSED, tables
from systems.postgres import postgres

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with postgres() as made:
        yield made


@pytest.fixture(scope="module")
def there(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    folder = tmp_path_factory.mktemp("postgres")
    engine = Postgres(PostgresSettings(url=url), context(folder))
    yield remote(engine, "postgres", tables(), folder)
    engine.close()


@pytest.mark.parametrize("name", CASES)
def test_the_table_is_the_one_of_duckdb(name: str, there: Remote, tmp_path: Path) -> None:
    agrees(CASES[name], there, tmp_path, landed_rows)


def test_derived_features_are_the_same(there: Remote, tmp_path: Path) -> None:
    derived_agree(there, tmp_path)


def test_a_source_of_the_same_database_is_not_moved(url: str, there: Remote, tmp_path: Path) -> None:
    """Its rows are read there, with values that DuckDB has: no infinite times, numbers without a size as floats."""
    with psycopg.connect(url) as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS sales")
        connection.execute(
            "CREATE TABLE sales.own AS SELECT 1 AS id, 'infinity'::timestamp AS at, 2.50::numeric(9, 2) AS price, "
            "0.1::numeric AS part, '{1,2}'::int[] AS ar, 'z'::text AS name UNION ALL "
            "SELECT 2, '2024-01-01', 'nan', 1, NULL, 'Ä'"
        )
    source = PostgresSource(postgres=url, schema="sales", table="own")
    relation = there.engine.find("postgres", source)
    assert relation is not None
    there.add("own", relation)
    columns, rows = landed_rows(
        "select *, upper(name) as big, name > 'a' as after_a from own order by id", there
    )
    day = dt.datetime(2024, 1, 1)
    assert rows == [
        (1, None, 2.5, 0.1, "[1,2]", "z", "Z", True),
        (2, day, None, 1.0, None, "Ä", "Ä", True),
    ]
    assert dict(columns)["price"] == "DOUBLE"
    assert (
        there.engine.find(
            "postgres", PostgresSource(postgres=url.replace("/postgres", "/other"), table="own")
        )
        is None
    )
    assert there.engine.find("parquet", object()) is None
    listed = there.engine.find("at_engine", AtEngineSource(at_engine="sales.own"))
    assert listed is not None
    assert there.engine.describe(listed) == there.engine.describe(relation)


def test_what_is_kept_is_there_for_another_process(url: str, there: Remote, tmp_path: Path) -> None:
    relation = there.engine.keep("result", there.query(CASES["groups"]).sql)
    again = there.engine.keep("result", there.query("select id, n from orders where id < 4").sql)
    assert again == relation
    other = Postgres(PostgresSettings(url=url), context(tmp_path))
    assert other.kept("result") == relation
    assert other.kept("none") is None
    assert other.describe(relation) == [("id", "BIGINT"), ("n", "BIGINT")]
    assert sorted(other.ask(f"SELECT id, n FROM {relation}")) == [(1, 5), (2, -3), (3, 0)]
    other.close()
    other.close()


def test_a_query_that_fails_changes_nothing(there: Remote) -> None:
    there.engine.keep("steady", there.query("select id from orders").sql)
    with pytest.raises(DataError, match="invalid input syntax"):
        there.engine.keep("steady", there.query("select cast(note as int) as n from orders").sql)
    relation = there.engine.kept("steady")
    assert there.engine.ask(f"SELECT count(*) FROM {relation}") == [(8,)]


@pytest.mark.parametrize(
    "sql", ["select id, big // n as q from orders", "select id, big % n as r from orders"]
)
def test_a_division_of_integers_by_zero_is_an_error(sql: str, there: Remote) -> None:
    with pytest.raises(DataError, match="division by zero"):
        landed_rows(sql, there)


@pytest.mark.parametrize("sql", REFUSED)
def test_what_does_not_mean_the_same_is_refused(sql: str, there: Remote) -> None:
    refuses(sql, there)


def test_a_project_keeps_its_rows_there(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The source and the SQL are of the server; what lands is what DuckDB makes of it."""
    rows = 2_000
    with psycopg.connect(url) as connection:
        connection.execute(
            "CREATE TABLE visits AS SELECT g AS id, g % 7 AS shop, (g * 37 % 1000)::numeric(9, 2) / 100 AS spent, "
            f"timestamp '2024-01-01' + g * interval '1 hour' AS moment FROM generate_series(1, {rows}) g"
        )
    monkeypatch.setenv("DATABASE_URL", url)
    sql = "select id, shop, spent > 5 as dear, extract(hour from moment) as hour, round(spent, 1) as r from visits"
    given = {"sources": {"visits": {"postgres": "${DATABASE_URL}", "table": "visits"}}, "sql": sql}
    landed = {}
    for engine in ("duckdb", {"postgres": {"url": "${DATABASE_URL}"}}):
        ctx = context(tmp_path / str(len(landed)))
        raw = run(AcquireSpec.model_validate({**given, "engine": engine}), {}, ctx)["raw"]
        landed[len(landed)] = pq.read_table(ctx.open(raw).path("data.parquet")).sort_by("id")
    assert landed[0].num_rows == rows
    assert landed[0].equals(landed[1])


def test_a_source_of_another_user_or_search_path_is_brought(url: str, there: Remote) -> None:
    """The same words may mean other rows to them."""
    query = "select 1 as id -- the key"
    found = there.engine.find("postgres", PostgresSource(postgres=url, query=query))
    assert found is not None
    assert there.engine.describe(found) == [("id", "INTEGER")]
    for other in (url.replace("//me@", "//you@"), f"{url}?options=-csearch_path%3Dsales"):
        assert there.engine.find("postgres", PostgresSource(postgres=other, query=query)) is None


def test_a_schema_that_is_there_needs_no_right_to_make_one(url: str, tmp_path: Path) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE ROLE keeper LOGIN")
        connection.execute('CREATE SCHEMA "Kept" AUTHORIZATION keeper')
    settings = PostgresSettings.model_validate({"url": url.replace("//me@", "//keeper@"), "schema": "Kept"})
    engine = Postgres(settings, context(tmp_path))
    relation = engine.keep("result", "SELECT 1::bigint AS n")
    assert engine.ask(f"SELECT n FROM {relation}") == [(1,)]
    engine.close()


@pytest.mark.parametrize("incremental", [None, {"cursor": "at", "key": ["id"]}])
def test_a_source_in_place_is_the_source_that_is_brought(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, incremental: dict[str, Any] | None
) -> None:
    """Also where of several rows of a key the last one counts; and the same rows are the same snapshot."""
    with psycopg.connect(url) as connection:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS versions AS SELECT * FROM (VALUES (1, timestamp '2024-01-01', 'old'), "
            "(1, timestamp '2024-01-02', 'new'), (2, timestamp '2024-01-01', 'only')) AS v (id, at, what)"
        )
    monkeypatch.setenv("DATABASE_URL", url)
    source = {"postgres": "${DATABASE_URL}", "table": "versions"}
    given = {"sources": {"v": source | ({"incremental": incremental} if incremental else {})}}
    near, far, again = (
        run(AcquireSpec.model_validate({**given, "engine": engine}), {}, context(tmp_path / name))["raw"]
        for name, engine in (
            ("near", "duckdb"),
            ("far", {"postgres": {"url": "${DATABASE_URL}"}}),
            ("far", {"postgres": {"url": "${DATABASE_URL}"}}),
        )
    )
    assert again == far
    tables = [
        pq.read_table(context(tmp_path / name).open(ref).path("data.parquet")).sort_by(
            [("id", "ascending"), ("at", "ascending")]
        )
        for name, ref in (("near", near), ("far", far))
    ]
    assert tables[0].num_rows == (2 if incremental else 3)
    assert tables[0].to_pylist() == tables[1].to_pylist()
