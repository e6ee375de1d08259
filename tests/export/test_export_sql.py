"""One query that scores rows where they are, in DuckDB, PostgreSQL and emulators of BigQuery and Snowflake."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import duckdb
import numpy as np
import pytest
from rowwise_support import kinds, model, package, proven, refused

from bessemer.api import exporting
from bessemer.core.errors import UsageError
from bessemer.export.errors import ExportError
from bessemer.export.proof import compare
from bessemer.export.protocol import NotRunError, Source
from bessemer.export.rowwise.sql_run import Run
from bessemer.export.rowwise.sql_words import threshold
from bessemer.export.samples import samples_of
from bessemer.export.targets.sql import Sql, SqlSettings
from systems.bigquery import PROJECT, bigquery
from systems.postgres import postgres
from systems.snowflake import snowflake

KINDS = ("lightgbm", "logistic", "forest", "regression", "derived")


@pytest.mark.slow
@pytest.mark.parametrize("kind", kinds(*KINDS))
def test_duckdb_answers_as_the_package(kind: str, tmp_path: Path) -> None:
    proven("sql", kind, tmp_path, 5e-7)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_postgresql_answers_as_the_package(kind: str, server: str, tmp_path: Path) -> None:
    assert server
    proof = proven("sql", kind, tmp_path, 5e-7, dialect="postgres")
    assert proof.runtime.startswith("PostgreSQL")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A PostgreSQL that the environment names, as psql is told of one."""
    with postgres() as url, pytest.MonkeyPatch.context() as patch:
        told = urlsplit(url)
        for name, value in {"HOST": told.hostname, "PORT": told.port, "USER": told.username}.items():
            patch.setenv(f"PG{name}", str(value))
        patch.setenv("PGDATABASE", told.path.strip("/"))
        yield url


@pytest.fixture(scope="module")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Run]]:
    """What runs queries in both emulators."""
    import snowflake.connector as connector
    from google.cloud.bigquery import client as official

    from bessemer.core.bigquery import BigQueryLogin, connect

    folder = tmp_path_factory.mktemp("emulators")
    with bigquery(folder) as there, snowflake(folder) as port, pytest.MonkeyPatch.context() as patch:
        patch.setattr(official, "_GENERIC_CONTENT_TYPE", "application/octet-stream")
        client = connect(BigQueryLogin(endpoint=there.endpoint), PROJECT)
        connection = connector.connect(
            user="me", password="none", account="shop", host="127.0.0.1", port=port, protocol="http",
            database="SHOP", schema="PUBLIC", session_parameters={"CLIENT_OUT_OF_BAND_TELEMETRY_ENABLED": False},
        )  # fmt: skip
        cursor = connection.cursor()

        def by_bigquery(text: str) -> tuple[list[str], list[Any]]:
            found = client.query(text).result()
            return [field.name for field in found.schema], [tuple(row) for row in found]

        def by_snowflake(text: str) -> tuple[list[str], list[Any]]:
            done = cursor.execute(text)
            assert done is not None
            return [column.name for column in done.description], list(done.fetchall())

        yield {"bigquery": by_bigquery, "snowflake": by_snowflake}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dialect", ["bigquery", "snowflake"])
def test_emulators_answer_as_the_package(
    kind: str, dialect: Any, emulated: dict[str, Run], tmp_path: Path
) -> None:
    target, source = Sql(SqlSettings(dialect=dialect)), Source(model(kind))
    assert not target.refuses(source)
    assert dialect in target.export(source, tmp_path)
    samples = samples_of(source.model)
    answers = target.answers(source, tmp_path, samples, dialect, emulated[dialect])
    proof = compare(source.model, samples, answers, 5e-7)
    assert proof.passed, proof
    assert proof.flips == 0


def test_what_nobody_can_ask_is_not_run() -> None:
    source = Source(model("lightgbm"))
    with pytest.raises(NotRunError, match="cloud"):
        Sql(SqlSettings(dialect="snowflake")).check(source, Path(), samples_of(source.model))


@pytest.mark.slow
def test_a_table_is_scored_where_it_is(tmp_path: Path) -> None:
    """The file as it stands, over a table with a key and a column more."""
    folder, _ = exporting.export(
        package("derived"), "sql", tmp_path / "out", settings={"table": "shop.orders", "keep": ["id"]}
    )
    rows = samples_of(model("derived")).rows
    there = duckdb.connect()
    there.execute("create schema shop")
    there.execute(
        "create table shop.orders "
        "(id int, other int, amount double, visits int, seen timestamp, city text, member bool)"
    )
    names = ("amount", "visits", "seen", "city", "member")
    there.executemany(
        "insert into shop.orders values (?, 0, ?, ?, ?, ?, ?)",
        [[i, *(row[name] for name in names)] for i, row in enumerate(rows)],
    )
    done = there.execute((folder / "score.sql").read_text())
    assert [column[0] for column in done.description] == [
        "id",
        "prediction",
        "probability_no",
        "probability_yes",
    ]
    found = sorted(done.fetchall())
    samples = samples_of(model("derived"))
    assert [row[1] for row in found] == samples.labels
    assert np.allclose([row[3] for row in found], samples.values[:, 1], atol=1e-6)


def test_a_double_goes_where_its_float32_goes() -> None:
    rng = np.random.default_rng(0)
    for value in rng.normal(size=50).astype(np.float32):
        limit = float(threshold(value, "bigquery").strip("()"))
        above = np.nextafter(np.float64(limit), np.inf)
        assert np.float32(limit) <= value < np.float32(above)


@pytest.mark.slow
def test_what_is_too_much_for_a_query_is_refused(tmp_path: Path) -> None:
    assert "multiplications" in refused("sql", "table_net", tmp_path / "net")
    assert "characters" in refused("sql", "ensemble", tmp_path / "trees")
    assert "StringSplit" in refused("sql", "words", tmp_path / "words")


def test_a_table_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises((ExportError, UsageError), match="cannot be exported") as told:
        exporting.export(package("lightgbm"), "sql", tmp_path / "out", settings={"table": "a b c; d"})
    assert "no table's name" in told.value.why
