"""Snowflake answers as DuckDB does, as far as an emulator shows it."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from bessemer.acquire.sources.snowflake import SnowflakeSource
from bessemer.core.errors import DataError
from bessemer.engines.remote import Remote
from bessemer.engines.snowflake import Snowflake, SnowflakeSettings, _cast
from engines.agreement import agrees, context, derived_agree, landed_rows, refuses, remote
from engines.cases import CASES, REFUSED, tables
from systems.snowflake import snowflake

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    folder = tmp_path_factory.mktemp("snowflake")
    with snowflake(folder) as port, pytest.MonkeyPatch.context() as patch:
        patch.setenv("SNOWFLAKE_PASSWORD", "snow-and-ice")
        settings = SnowflakeSettings.model_validate({
            "account": "shop", "database": "SHOP", "schema": "PUBLIC", "user": "me",
            "password_env": "SNOWFLAKE_PASSWORD", "endpoint": f"http://127.0.0.1:{port}", "timeout": 300,
        })  # fmt: skip
        engine = Snowflake(settings, context(folder))
        yield remote(engine, "snowflake", tables(), folder)
        engine.close()


#: What Snowflake does not have, and what the error says of it.
LACKING = {"casts": "32 bits"}
MORE = {
    "casts without narrow floats": (
        "select id, n::varchar as t, cast(y as decimal(12, 2)) as dec, try_cast(note as int) as none, "
        "cast(x as int) as i, moment::varchar as m from orders where x < 100 and abs(y) < 1000"
    ),
    "no texts together": (
        "select Shop, string_agg(case when n > 100 then note end, ',' order by id) as t from orders group by 1"
    ),
    "truth": "select id, paid is true as t, paid is false as f, paid is not true as nt from orders",
}


#: What the emulator does otherwise: it trims both ends, of spaces.
UNSHOWN = {"one end of texts"}


@pytest.mark.parametrize("name", [n for n in (*CASES, *MORE) if n not in {*LACKING, *UNSHOWN}])
def test_the_table_is_the_one_of_duckdb(name: str, there: Remote, tmp_path: Path) -> None:
    sql = CASES.get(name) or MORE[name]
    agrees(sql, there, tmp_path, landed_rows)


@pytest.mark.parametrize("name", LACKING)
def test_what_snowflake_lacks_is_refused(name: str, there: Remote) -> None:
    with pytest.raises(DataError, match=LACKING[name]):
        there.query(CASES[name])


def test_derived_features_are_the_same(there: Remote, tmp_path: Path) -> None:
    derived_agree(there, tmp_path)


@pytest.mark.parametrize("sql", REFUSED)
def test_what_does_not_mean_the_same_is_refused(sql: str, there: Remote) -> None:
    refuses(sql, there)


def test_what_is_kept_is_there_until_it_is_replaced(there: Remote) -> None:
    relation = there.engine.keep("bessemer_result", there.query("select id, n from orders").sql)
    assert there.engine.kept("bessemer_result") == relation == '"SHOP"."PUBLIC"."BESSEMER_RESULT"'
    assert there.engine.kept("none") is None
    assert there.engine.ask(f"SELECT COUNT(*) FROM {relation}") == [(8,)]
    assert there.engine.describe(relation) == [("id", "BIGINT"), ("n", "BIGINT")]
    source = {"snowflake": "shop", "database": "SHOP", "user": "me", "password_env": "P"}
    own = SnowflakeSource.model_validate({**source, "table": "BESSEMER_RESULT"})
    assert there.engine.find("snowflake", own) == relation
    query = SnowflakeSource.model_validate(
        {**source, "query": 'select "id" from BESSEMER_RESULT where "id" < 3 -- few'}
    )
    found = there.engine.find("snowflake", query)
    assert found is not None
    there.add("few", found)
    assert landed_rows("select count(*) as n, sum(id) as s from few", there)[1] == [(2, 3)]
    assert there.engine.find("snowflake", own.model_copy(update={"snowflake": "other"})) is None


def test_a_query_that_fails_says_why(there: Remote) -> None:
    with pytest.raises(DataError, match="NOPE"):
        there.engine.ask("SELECT nope FROM (SELECT 1 AS a)")


def test_a_source_is_found_by_the_names_that_snowflake_has(
    there: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    relation = there.engine.keep("bessemer_named", there.query("select id from orders").sql)
    source = {"snowflake": "shop", "database": "shop", "user": "me", "password_env": "P"}
    lower = SnowflakeSource.model_validate({**source, "schema": "public", "table": "bessemer_named"})
    found = there.engine.find("snowflake", lower)
    assert found is not None
    assert found.upper() == relation  # the emulator does not tell the cases of quoted names apart
    assert there.engine.find("snowflake", lower.model_copy(update={"table": "none"})) is None
    for other in ({"user": "you"}, {"role": "AUDITOR"}):  # who may see other rows
        assert there.engine.find("snowflake", lower.model_copy(update=other)) is None
    monkeypatch.setattr(there.engine, "_there", lambda table: table == relation)  # as Snowflake does
    assert there.engine.find("snowflake", lower) == relation


def test_an_integer_beyond_64_bits_is_told() -> None:
    great = pa.array([Decimal(10**22)], pa.decimal128(38, 0))
    with pytest.raises(DataError, match="column 'n' has values that its type does not hold"):
        _cast(great, pa.int64(), "n")
