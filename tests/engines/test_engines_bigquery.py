"""BigQuery answers as DuckDB does, as far as an emulator shows it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from google.cloud.bigquery import client as official

from bessemer.acquire.sources.bigquery import BigQuerySource
from bessemer.core.bigquery import BigQueryLogin, connect
from bessemer.core.errors import DataError
from bessemer.engines.bigquery import BigQuery, BigQuerySettings
from bessemer.engines.remote import Remote
from engines.agreement import agrees, context, derived_agree, landed_rows, refuses, remote
from engines.cases import CASES, REFUSED, tables
from systems.bigquery import PROJECT, bigquery

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    folder = tmp_path_factory.mktemp("bigquery")
    with bigquery(folder) as emulator, pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            official, "_GENERIC_CONTENT_TYPE", "application/octet-stream"
        )  # what the emulator takes
        connect(BigQueryLogin(endpoint=emulator.endpoint), PROJECT).create_dataset(f"{PROJECT}.work")
        settings = BigQuerySettings(dataset=f"{PROJECT}.work", endpoint=emulator.endpoint)
        engine = BigQuery(settings, context(folder))
        yield remote(engine, "bigquery", tables(), folder)
        engine.close()


#: What BigQuery does not have, and what the error says of it.
LACKING = {"casts": "32 bits"}
MEANT = {
    "select id, price::varchar as t from orders": "zeros at its end",
    "select id, note like 'a!_b' escape '!' as l from orders": "ESCAPE",
}
MORE = {
    "casts without narrow floats": (
        "select id, n::varchar as t, cast(y as decimal(12, 2)) as dec, try_cast(note as int) as none, "
        "cast(x as int) as i, moment::varchar as m from orders where x < 100 and abs(y) < 1000"
    ),
    "split": "select id, split_part(note, ',', 9) as beyond, split_part(note, 'r', 1) as first from orders",
}


@pytest.mark.parametrize("name", [name for name in (*CASES, *MORE) if name not in LACKING])
def test_the_table_is_the_one_of_duckdb(name: str, there: Remote, tmp_path: Path) -> None:
    sql = CASES.get(name) or MORE[name]
    agrees(sql, there, tmp_path)


@pytest.mark.parametrize("name", LACKING)
def test_what_bigquery_lacks_is_refused(name: str, there: Remote) -> None:
    with pytest.raises(DataError, match=LACKING[name]):
        there.query(CASES[name])


def test_derived_features_are_the_same(there: Remote, tmp_path: Path) -> None:
    derived_agree(there, tmp_path)


@pytest.mark.parametrize("sql", REFUSED)
def test_what_does_not_mean_the_same_is_refused(sql: str, there: Remote) -> None:
    refuses(sql, there)


def test_a_stream_has_the_five_types(there: Remote, tmp_path: Path) -> None:
    agrees(CASES["all columns"], there, tmp_path, landed_rows)


def test_a_source_of_bigquery_is_not_moved(there: Remote) -> None:
    relation = there.engine.keep("own", there.query("select id, n, moment from orders").sql)
    endpoint = there.engine.settings.endpoint
    source = BigQuerySource(bigquery=f"{PROJECT}.work", table="own", endpoint=endpoint)
    assert there.engine.find("bigquery", source) == relation
    query = BigQuerySource(
        bigquery=f"{PROJECT}.work", query="select id, n from own where id < 3;", endpoint=endpoint
    )
    found = there.engine.find("bigquery", query)
    assert found is not None
    assert there.engine.describe(found) == [("id", "BIGINT"), ("n", "BIGINT")]
    there.add("few", found)
    assert landed_rows("select count(*) as n, sum(n) as s from few", there)[1] == [(2, 2)]
    assert there.engine.find("bigquery", query.model_copy(update={"parameters": {"a": 1}})) is None
    assert there.engine.find("parquet", object()) is None


def test_what_is_kept_is_there_until_it_is_replaced(there: Remote) -> None:
    relation = there.engine.keep("result", there.query("select id from orders").sql)
    assert there.engine.kept("result") == relation
    assert there.engine.kept("none") is None
    assert there.engine.ask(f"SELECT COUNT(*) FROM {relation}") == [(8,)]


def test_a_query_that_fails_says_why(there: Remote) -> None:
    with pytest.raises(DataError, match="nope"):
        there.engine.ask("SELECT nope FROM UNNEST([1]) AS a")


def test_a_source_that_means_something_else_at_the_engine_is_brought(there: Remote) -> None:
    """Names of another dataset, another place, or a limit that the engine does not keep."""
    endpoint = there.engine.settings.endpoint
    query = BigQuerySource(bigquery=f"{PROJECT}.work", query="select 1 as a -- one", endpoint=endpoint)
    found = there.engine.find("bigquery", query)
    assert found is not None
    assert there.engine.describe(found) == [("a", "BIGINT")]
    for other in (
        {"bigquery": f"{PROJECT}.sales"},
        {"billing_project": "other"},
        {"location": "EU"},
        {"endpoint": "https://bigquery.example.org"},
        {"max_bytes": 2**30},
    ):
        assert there.engine.find("bigquery", query.model_copy(update=other)) is None


@pytest.mark.parametrize("sql", MEANT)
def test_what_bigquery_means_otherwise_is_refused(sql: str, there: Remote) -> None:
    with pytest.raises(DataError, match=MEANT[sql]):
        there.query(sql)
