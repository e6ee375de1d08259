"""A table of a database server as source and as sink: a real PostgreSQL."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pyarrow.parquet as pq
import pytest
from psycopg.conninfo import make_conninfo

from bessemer.core.errors import DataError, EnvironmentFault, StoreError, UsageError
from bessemer.predict.job import predict
from bessemer.predict.plugins import SINKS
from bessemer.predict.protocol import Progress, Target
from bessemer.testing.sinks import CHECKS, batch, job
from systems.postgres import postgres

pytestmark = pytest.mark.slow
NAMES = (f"scored_{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres() as url:
        yield url


def rows(server: str, table: str) -> list[dict[str, Any]]:
    with psycopg.connect(server, row_factory=psycopg.rows.dict_row) as connection:
        return connection.execute(f'SELECT * FROM "{table}" ORDER BY id').fetchall()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_sink_keeps_each_promise(check: Any, server: str) -> None:
    name = next(NAMES)
    target = Target("ibis", server, options={"table": name})
    if "cannot_go_on" in check.__name__:
        with pytest.raises(UsageError, match="exactly once") as caught:
            check(SINKS.ref("ibis").target, target, lambda target: rows(server, name))
        assert "--snapshot" in caught.value.fix
        return
    with psycopg.connect(server) as connection:
        connection.execute("DROP TABLE IF EXISTS bessemer_jobs")
    check(SINKS.ref("ibis").target, target, lambda target: rows(server, name))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_sink_of_postgres_keeps_each_promise(check: Any, server: str) -> None:
    name = next(NAMES)
    with psycopg.connect(server) as connection:
        connection.execute("DROP TABLE IF EXISTS bessemer_jobs")
    check(
        SINKS.ref("postgres").target,
        Target("postgres", server, options={"table": name}),
        lambda t: rows(server, name),
    )


def test_two_at_once_write_nothing_twice(server: str) -> None:
    """The second finds that the first has noted more than it knew, and stops."""
    name = next(NAMES)
    with psycopg.connect(server) as connection:
        connection.execute("DROP TABLE IF EXISTS bessemer_jobs")
    target = Target("postgres", server, options={"table": name})
    first, second = (SINKS.load("postgres")(target, job("f")) for _ in range(2))
    assert first.open() == second.open() == Progress()
    first.write(batch(0), Progress(1, 4, 0, 4))
    with pytest.raises(EnvironmentFault, match="another"):
        second.write(batch(0), Progress(1, 4, 0, 4))
    second.close()
    first.write(batch(1), Progress(2, 8, 0, 8))
    first.finish()
    first.close()
    assert [row["id"] for row in rows(server, name)] == list(range(8))


def test_a_table_that_is_there_takes_rows_in_its_own_types(server: str) -> None:
    name = next(NAMES)
    with psycopg.connect(server) as connection:
        connection.execute("DROP TABLE IF EXISTS bessemer_jobs")
        connection.execute(
            f"CREATE TABLE {name} (probability numeric(9, 4), extra text, id int, prediction text)"
        )
    sink = SINKS.load("postgres")(Target("postgres", server, options={"table": name}), job("g"))
    sink.open()
    sink.write(batch(0), Progress(1, 4, 0, 4))
    sink.finish()
    sink.close()
    assert [float(row["probability"]) for row in rows(server, name)] == [0.0, 0.125, 0.25, 0.375]
    with psycopg.connect(server) as connection:
        connection.execute(f"ALTER TABLE {name} DROP COLUMN prediction")
    with pytest.raises(UsageError, match="no column 'prediction'"):
        SINKS.load("postgres")(Target("postgres", server, options={"table": name}), job("h")).open()


def test_a_table_is_named_with_its_schema_and_nothing_is_made_that_is_there(server: str) -> None:
    """Who writes has no right to make anything once the tables are there."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS bessemer_jobs")
        connection.execute("CREATE SCHEMA sales")
    for key in ("i", "j"):
        if key == "j":
            with psycopg.connect(server, autocommit=True) as connection:
                connection.execute("CREATE ROLE scorer LOGIN")
                connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
                connection.execute("GRANT USAGE ON SCHEMA sales TO scorer")
                connection.execute("GRANT SELECT, INSERT, UPDATE ON sales.scored, bessemer_jobs TO scorer")
        user = server if key == "i" else make_conninfo(server, options="-c role=scorer")
        sink = SINKS.load("postgres")(Target("postgres", user, options={"table": "sales.scored"}), job(key))
        sink.open()
        sink.write(batch(0), Progress(1, 4, 0, 4))
        sink.finish()
        sink.close()
    with psycopg.connect(server) as connection:
        assert connection.execute("SELECT count(*) FROM sales.scored").fetchone() == (8,)
        connection.execute("DROP TABLE bessemer_jobs")
    refused = Target("postgres", user, options={"table": "sales.scored"})
    with pytest.raises(DataError, match="permission denied for schema public"):
        SINKS.load("postgres")(refused, job("k")).open()


def test_a_batch_that_was_not_noted_is_written_again_and_only_once(server: str) -> None:
    """The kill came between the rows and their note."""
    name = next(NAMES)
    with psycopg.connect(server) as connection:
        connection.execute("DROP TABLE IF EXISTS bessemer_jobs")  # the sinks note differently
    target = Target("ibis", server, options={"table": name})
    sink = SINKS.load("ibis")(target, job("e"))
    sink.open()
    sink.write(batch(0), Progress(1, 4, 0, 4))
    sink.write(batch(1), Progress(2, 8, 0, 8))
    sink.close()
    with psycopg.connect(server) as connection:
        connection.execute("DELETE FROM bessemer_jobs WHERE job = %s AND batches = 2", ["e" * 64])
        connection.execute(f'DELETE FROM "{name}" WHERE id = 6')
    sink = SINKS.load("ibis")(target, job("e"))
    assert sink.open() == Progress(1, 4, 0, 4)
    sink.write(batch(1), Progress(2, 8, 0, 8))
    sink.finish()
    sink.close()
    assert [row["id"] for row in rows(server, name)] == list(range(8))
    again = SINKS.load("ibis")(target, job("e", restart=True))
    assert again.open() == Progress()
    again.close()
    assert rows(server, name) == []


def test_from_a_table_into_a_table(server: str, model: Any, make_rows: Any) -> None:
    table, name = make_rows(1000), next(NAMES)
    with psycopg.connect(server) as connection:
        listed = 'id text, tenure int, "monthly charges" float8, autopay bool, contract text, "désactivé" timestamp'
        connection.execute(f"CREATE TABLE customers ({listed})")
        with connection.cursor().copy("COPY customers FROM STDIN") as copy:
            for row in table.to_pylist():
                copy.write_row(list(row.values())[:6])
    with psycopg.connect(server) as connection:
        connection.execute("DROP TABLE IF EXISTS bessemer_jobs")  # the sinks note differently
    source = {"sql": server, "table": "customers"}
    settings: dict[str, Any] = {"table": name, "keep": ["id"], "batch_rows": 100}
    ibis = {"ibis": server, "table": f"{name}_ibis"}
    with pytest.raises(UsageError, match="exactly once"):
        predict(model, source, ibis, keep=["id"], batch_rows=100)
    done = predict(model, source, ibis, snapshot=True, keep=["id"], batch_rows=100)
    assert (done.rows, done.unstable) == (1000, "")
    assert len(rows(server, f"{name}_ibis")) == 1000
    with psycopg.connect(server) as connection:
        connection.execute("DROP TABLE IF EXISTS bessemer_jobs")  # the sinks note differently
    done = predict(model, source, server, **settings)
    assert done.rows == 1000
    found = rows(server, name)
    assert [row["id"] for row in found] == table["id"].to_pylist()
    expected = model.predict(table)
    assert [row["prediction"] for row in found] == expected["prediction"].to_pylist()
    assert [row["probability"] for row in found] == pytest.approx(
        expected["probability"].to_pylist(), abs=1e-6
    )


def test_killed_on_the_way_into_a_server(server: str, package: Path, make_rows: Any, tmp_path: Path) -> None:
    pq.write_table(make_rows(3000), tmp_path / "in.parquet")
    name = next(NAMES)
    script = (
        "import sys; from bessemer.api import predict\n"
        "predict(*sys.argv[1:4], table=sys.argv[4], keep=['id'], batch_rows=100,"
        " told=lambda n, before: print(n, flush=True))"
    )
    arguments = [sys.executable, "-c", script, str(package), str(tmp_path / "in.parquet"), server, name]
    for _ in range(5):
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(3):
                process.stdout.readline()
            process.send_signal(signal.SIGKILL)
    subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL)
    assert [row["id"] for row in rows(server, name)] == [f"{i:05d}" for i in range(3000)]


def test_a_server_that_is_not_there_is_told(model: Any, make_rows: Any, tmp_path: Path) -> None:
    pq.write_table(make_rows(10), tmp_path / "in.parquet")
    with pytest.raises((StoreError, EnvironmentFault)) as caught:
        predict(model, tmp_path / "in.parquet", "postgres://me:secret@127.0.0.1:1/none", table="t")
    assert "secret" not in str(caught.value)
