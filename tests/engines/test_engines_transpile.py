"""DuckDB's SQL for other systems: what is carried over, and what is refused where."""

from __future__ import annotations

import duckdb
import pytest

from bessemer.core.errors import DataError
from bessemer.engines.binding import bind
from bessemer.engines.snowflake_sql import CORRECTIONS as SNOWFLAKE
from bessemer.engines.spark_sql import CORRECTIONS
from bessemer.engines.transpile import transpile
from engines.cases import CASES, REFUSED, tables


@pytest.fixture(scope="module")
def schemas() -> dict[str, list[tuple[str, str]]]:
    connection = duckdb.connect()
    found = {}
    for name, table in tables().items():
        connection.register(name, table)
        found[name] = [(row[0], row[1]) for row in connection.execute(f"DESCRIBE {name}").fetchall()]
    return found


def _spark(sql: str, schemas: dict[str, list[tuple[str, str]]]) -> str:
    statement, columns = bind(sql, schemas)
    there = {name: (f"db.{name}", schema) for name, schema in schemas.items()}
    return transpile(statement, there, columns, engine="spark", dialect="spark", corrections=CORRECTIONS)


@pytest.mark.parametrize("sql", REFUSED)
def test_what_does_not_mean_the_same_is_refused(sql: str, schemas: dict[str, list[tuple[str, str]]]) -> None:
    with pytest.raises(DataError) as refused:
        _spark(sql, schemas)
    assert all(words in str(refused.value) for words in REFUSED[sql])
    assert "take the engine duckdb" in str(refused.value)


def test_snowflake_divides_integers_without_rounding(schemas: dict[str, list[tuple[str, str]]]) -> None:
    """Its quotient of numbers has six digits behind the point: 2 / 3 cast to an integer would be 1."""
    statement, columns = bind("select (n + 1) // 3 as x from orders", schemas)
    there = {name: (name, schema) for name, schema in schemas.items()}
    written = transpile(
        statement, there, columns, engine="snowflake", dialect="snowflake", corrections=SNOWFLAKE
    )
    text = " ".join(written.split())
    value = '("orders"."n" + 1)'
    assert f"CAST(((({value}) - MOD({value}, 3)) / 3) AS BIGINT)" in text


def test_positions_are_those_of_the_text(schemas: dict[str, list[tuple[str, str]]]) -> None:
    with pytest.raises(DataError) as refused:
        _spark("select id,\n       n, hash(n) as h\nfrom orders", schemas)
    assert "at line 2, column 11" in str(refused.value)


@pytest.mark.parametrize("name", CASES)
def test_every_case_is_carried_over(name: str, schemas: dict[str, list[tuple[str, str]]]) -> None:
    written = _spark(CASES[name], schemas)
    assert "`db`.`orders`" in written
    assert written.count("SELECT") > 2


def test_a_with_may_have_the_name_of_a_source(schemas: dict[str, list[tuple[str, str]]]) -> None:
    written = _spark("with orders as (select id, n from orders) select * from orders", schemas)
    assert written.count("`bessemer_source_orders`") == 2  # where it is defined, and once where it is read
    assert "FROM `orders` AS `orders`" in written


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("select 1; select 2", "2 statements"),
        ("drop table orders", "does not select"),
        ("select idd, n from orders", "did you mean 'id'"),
        ("select id, n as id from orders", "duplicate column names"),
        ("select id, n from order", "syntax error"),
        ("select id, n from 'file.parquet'", "name the file under `acquire.sources`"),
    ],
)
def test_duckdb_judges_the_sql_first(sql: str, words: str, schemas: dict[str, list[tuple[str, str]]]) -> None:
    with pytest.raises(DataError) as refused:
        _spark(sql, schemas)
    assert words in str(refused.value)


def test_sql_that_would_grow_without_bound_is_refused(schemas: dict[str, list[tuple[str, str]]]) -> None:
    nested = "x"
    for _ in range(14):
        nested = f"(1 / {nested})"
    with pytest.raises(DataError, match="in a WITH or a subquery first"):
        _spark(f"select id, {nested} as v from orders", schemas)
