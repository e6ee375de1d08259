"""A real PostgreSQL as a source."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Iterator
from contextlib import AbstractContextManager
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.types as pt
import pytest
from psycopg import sql
from psycopg.types.json import Jsonb
from pydantic import ValidationError

from bessemer.acquire.sources.postgres import Postgres, PostgresSource
from bessemer.acquire.spec import AcquireSpec
from bessemer.core.errors import DataError, ProjectError, UsageError
from bessemer.core.stage import Context
from bessemer.core.store import Store
from bessemer.testing.sources import CHECKS, SECRET, Check, Options, read
from systems.cut import Wire, wire
from systems.postgres import LOCKED, postgres

pytestmark = pytest.mark.slow


class Server:
    """Tables of a PostgreSQL, read through a wire that can be cut."""

    lacks: frozenset[str] = frozenset()

    def __init__(self, url: str, made: Wire) -> None:
        self.url, self.wire = url, made
        self.through = url.replace(url.rpartition(":")[2].partition("/")[0], str(made.port))

    def put(self, name: str, table: pa.Table) -> Options:
        with psycopg.connect(self.url) as connection:
            connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(name)))
            columns = sql.SQL(", ").join(
                sql.SQL("{} {}").format(sql.Identifier(field.name), sql.SQL(_type(field.type)))
                for field in table.schema
            )
            connection.execute(sql.SQL("CREATE TABLE {} ({})").format(sql.Identifier(name), columns))
        self._copy(name, table)
        return {"postgres": self.through, "table": name}

    def add(self, name: str, table: pa.Table) -> None:
        with psycopg.connect(self.url) as connection:
            for field in table.schema:
                added = sql.SQL("ALTER TABLE {} ADD COLUMN IF NOT EXISTS {} {}")
                names = sql.Identifier(name), sql.Identifier(field.name), sql.SQL(_type(field.type))
                connection.execute(added.format(*names))
        self._copy(name, table)

    def _copy(self, name: str, table: pa.Table) -> None:
        names = sql.SQL(", ").join(map(sql.Identifier, table.column_names))
        into = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(name), names)
        with psycopg.connect(self.url) as connection, connection.cursor().copy(into) as copy:
            for row in table.to_pylist():
                copy.write_row([Jsonb(v) if isinstance(v, dict) else v for v in row.values()])

    def missing(self, name: str) -> Options:
        return {"postgres": self.url, "table": name}

    def refused(self, name: str) -> Options:
        with psycopg.connect(self.url) as connection:
            connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {LOCKED}")
        return {"postgres": self.url.replace("me@", LOCKED + ":${WRONG_PASSWORD}@"), "table": name}

    def interrupted(self) -> AbstractContextManager[None]:
        return self.wire.cut(after=300_000)


def _type(kind: pa.DataType) -> str:
    if pt.is_decimal(kind):
        return f"numeric({kind.precision}, {kind.scale})"
    if pt.is_timestamp(kind):
        return "timestamptz" if kind.tz else "timestamp"
    names = {"bool": "bool", "int32": "int4", "int64": "int8", "double": "float8", "string": "text"}
    return names.get(str(kind), "date" if pt.is_date(kind) else "jsonb")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with postgres() as url, wire(int(url.rpartition(":")[2].partition("/")[0])) as made:
        with psycopg.connect(url) as connection:
            connection.execute(f"CREATE ROLE {LOCKED} LOGIN PASSWORD 'p@ss/w:rd %20 ''x'")
        yield Server(url, made)


@pytest.fixture(autouse=True)
def _passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WRONG_PASSWORD", SECRET)
    monkeypatch.setenv("RIGHT_PASSWORD", "p@ss/w:rd %20 'x")


def context(folder: Path) -> Context:
    return Context(Store(folder / "store"), "acquire", {}, 7, folder, folder)


def arrow(url: str, folder: Path, query: str) -> pa.Table:
    """What the source gives, before it lands."""
    source = Postgres("data", PostgresSource(postgres=url, query=query))
    batches = source.open(None, context(folder)).batches
    assert batches is not None
    return pa.Table.from_batches(list(batches))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_conformance(check: Check, server: Server, tmp_path: Path) -> None:
    check(server, tmp_path)


TYPES: list[tuple[str, Any]] = [
    ("'12345678901234567890.123456789'::numeric(38, 9)", Decimal("12345678901234567890.123456789")),
    ("'nan'::numeric(10, 2)", None),
    ("'0.1'::numeric", 0.1),
    ("'-infinity'::numeric", -math.inf),
    ("'1e400'::numeric", math.inf),
    ("123456::numeric(4, -2)", Decimal(123500)),
    ("0.00123::numeric(3, 5)", Decimal("0.00123")),
    ("'12345'::numeric(60, 3)", 12345.0),
    ("'1.1'::price", Decimal("1.10")),
    ("3::positive", 3),
    ("'sad'::mood", "sad"),
    ("'(1,\"a b\")'::pair", {"x": 1, "y": "a b"}),
    ("array[[1,2],[3,null]]", [[1, 2], [3, None]]),
    ("array['a,b', null, '\"']", ["a,b", None, '"']),
    ("array['sad','glad']::mood[]", ["sad", "glad"]),
    ("array[1.50]::numeric(9,2)[]", [1.5]),
    ("'{}'::int[]", []),
    ("'{\"a\": [1, null]}'::jsonb", {"a": [1, None]}),
    ("'[1]'::json", [1]),
    ("'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ("'10.1.2.3/8'::inet", "10.1.2.3/8"),
    ("'[1,5)'::int4range", "[1,5)"),
    ("B'0101'", "0101"),
    ("'(1,2)'::point", "(1,2)"),
    ("4000000000::oid", 4_000_000_000),
    ("'10.55'::money", 10.55),
    ("'ab'::char(5)", "ab"),
    ("'x'::\"char\"", "x"),
    ("'n'::name", "n"),
    ("1::int2", 1),
    ("'infinity'::timestamp", None),
    ("'-infinity'::timestamptz", None),
    ("'infinity'::date", None),
    ("'294276-12-31'::timestamp", None),
    ("'9999-12-31 23:59:59.999999'::timestamp", dt.datetime.max),
    ("'2024-07-01 12:00+02'::timestamptz", dt.datetime(2024, 7, 1, 10, tzinfo=dt.UTC)),
    ("('2024-07-01 12:00+02'::timestamptz)::text", "2024-07-01 10:00:00+00"),
    ("'12:30'::time", dt.time(12, 30)),
    ("'12:30:00+02'::timetz", "12:30:00+02"),
    ("'nan'::float8", math.nan),
    ("'-infinity'::float4", -math.inf),
    ("'\\xdeadbeef'::bytea", b"\xde\xad\xbe\xef"),
    ("'<a/>'::xml", "<a/>"),
    ("null", None),
]


@pytest.fixture(scope="module")
def kinds(server: Server) -> None:
    with psycopg.connect(server.url) as connection:
        connection.execute("CREATE TYPE mood AS ENUM ('sad', 'glad')")
        connection.execute("CREATE TYPE pair AS (x int, y text)")
        connection.execute("CREATE DOMAIN positive AS int CHECK (value > 0)")
        connection.execute("CREATE DOMAIN price AS numeric(10, 2)")


@pytest.mark.usefixtures("kinds")
def test_each_type_comes_as_it_is(server: Server, tmp_path: Path) -> None:
    """All in one query: none of them keeps another from being read. The second row has no values at all."""
    listed = ", ".join(f"{expression} AS c{number}" for number, (expression, _) in enumerate(TYPES))
    found = arrow(server.url, tmp_path, f"SELECT {listed}\n-- the end")
    for number, (expression, wanted) in enumerate(TYPES):
        value = found[f"c{number}"].to_pylist()[0]
        if isinstance(wanted, dict | list):
            value = json.loads(value)
        same = math.isnan(value) if isinstance(wanted, float) and math.isnan(wanted) else value == wanted
        assert same, f"{expression} came as {value!r}, not {wanted!r}"
        assert type(value) is type(wanted), f"{expression} came as {type(value)}"
    kept = ", ".join(f"CASE WHEN g = 2 THEN {e} END AS c{n}" for n, (e, _) in enumerate(TYPES))
    none = arrow(server.url, tmp_path, f"SELECT {kept} FROM generate_series(1, 1) g")
    assert all(column.null_count == 1 for column in none.columns)


def test_a_sum_is_exact_and_an_interval_is_seconds(server: Server, tmp_path: Path) -> None:
    query = (
        "SELECT 1 AS id, interval '1 day 02:00:00.5' AS took, sum(n) AS total FROM generate_series(1, 9) n"
    )
    (row,) = read({"postgres": server.url, "query": query}, tmp_path).to_pylist()
    assert row == {"id": 1, "took": 93_600.5, "total": 45.0}


def test_a_password_is_taken_as_it_is(server: Server, tmp_path: Path) -> None:
    url = server.url.replace("me@", LOCKED + ":${RIGHT_PASSWORD}@")
    assert arrow(url, tmp_path, "SELECT current_user::text AS me")["me"].to_pylist() == [LOCKED]
    assert Postgres("data", PostgresSource(postgres=url)).uri().startswith(f"postgres://{LOCKED}:***@")


@pytest.mark.parametrize("text", ["postgresql://me:secret@host/db", "host=a password=secret dbname=b"])
def test_a_password_in_the_project_file_is_a_fault(text: str) -> None:
    with pytest.raises(ValidationError, match=r"write \$\{NAME\} in its place"):
        AcquireSpec.model_validate({"sources": {"data": {"postgres": text}}})


def test_what_is_wrong_is_said(server: Server, tmp_path: Path) -> None:
    server.put("said", pa.table({"id": [1], "amount": [1.5]}))
    with psycopg.connect(server.url) as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS sales")
        connection.execute("CREATE TABLE IF NOT EXISTS sales.invoices AS SELECT 1 AS id, 2 AS n")
    wrong = {
        "said": [{"table": "sadi"}, DataError],
        "`schema: sales`": [{"table": "invoices"}, DataError],
        "did you mean 'sales'": [{"table": "invoices", "schema": "sale"}, DataError],
        "none is named": [{}, DataError],
        'column "amont" does not exist': [{"query": "SELECT amont FROM said"}, DataError],
        "syntax error": [{"query": "SELEC 1"}, DataError],
        "multiple commands": [{"query": "SELECT 1; DROP TABLE said"}, DataError],
        "division by zero": [{"query": "SELECT 1 / (id - 1) FROM said"}, DataError],
        "read-only": [{"query": "SELECT nextval('q')"}, DataError],
        "DATABASE_URL is not set": [{"postgres": "${DATABASE_URL}"}, ProjectError],
        "no address": [{"postgres": "mysql://me@host/db"}, UsageError],
    }
    with psycopg.connect(server.url) as connection:
        connection.execute("CREATE SEQUENCE IF NOT EXISTS q")
    for words, (options, kind) in wrong.items():
        with pytest.raises(kind) as caught:
            pytest.fail(f"{words}: {read({'postgres': server.url, **options}, tmp_path)}")
        assert words in str(caught.value), caught.value
    assert read({"postgres": server.url, "table": "invoices", "schema": "sales"}, tmp_path).num_rows == 1


def test_what_others_change_meanwhile_is_not_seen(server: Server, tmp_path: Path) -> None:
    """Rows that go while the source is read are still read, and new ones are not."""
    rows = 300_000
    with psycopg.connect(server.url) as connection:
        connection.execute("DROP TABLE IF EXISTS busy")
        connection.execute(
            f"CREATE TABLE busy AS SELECT g AS id, repeat('x', 60) AS text FROM generate_series(1, {rows}) g"
        )
    batches = Postgres("data", PostgresSource(postgres=server.url, table="busy")).open(
        None, context(tmp_path)
    )
    assert batches.batches is not None
    found = [next(batches.batches), next(batches.batches)]
    with psycopg.connect(server.url) as connection:
        connection.execute(f"DELETE FROM busy WHERE id > {rows // 2}")
        connection.execute("INSERT INTO busy VALUES (0, 'new')")
    found += list(batches.batches)
    assert len(found) > 2, "all rows came in one batch: nothing is shown"
    assert sorted(pa.Table.from_batches(found)["id"].to_pylist()) == list(range(1, rows + 1))


def newer(url: str, folder: Path, cursor: str, after: Any, query: str) -> list[Any]:
    options = {"postgres": url, "query": query, "incremental": {"cursor": cursor}}
    source = Postgres("data", PostgresSource.model_validate(options))
    found = pa.Table.from_batches(list(source.newer(after, context(folder))))
    return sorted(found["id"].to_pylist())


def test_only_what_is_new_is_asked_for(server: Server, tmp_path: Path) -> None:
    with psycopg.connect(server.url) as connection:
        connection.execute("DROP TABLE IF EXISTS versions")
        connection.execute(
            "CREATE TABLE versions AS SELECT g AS id, g / 10.0 AS num, (g / 10.0)::float8 AS part, 'v' || g AS text, "
            "(g / 10.0)::numeric(9, 1) AS money, "
            "timestamp '2024-01-01' + g * interval '1 day' AS at, timestamptz '2024-01-01 00:00+00' + g * interval "
            "'1 day' AS moment, date '2024-01-01' + g AS day FROM generate_series(1, 9) g"
        )
        connection.execute("INSERT INTO versions (id) VALUES (10)")
        connection.execute(
            "INSERT INTO versions (id, at, moment, day) VALUES (11, 'infinity', 'infinity', 'infinity')"
        )
    query = "SELECT * FROM versions ORDER BY id"
    seventh = dt.datetime(2024, 1, 8)
    for cursor, after in [
        ("id", 7), ("num", 0.7), ("part", 0.7), ("money", 0.7), ("text", "v7"),
        ("at", seventh), ("moment", seventh), ("moment", seventh.replace(tzinfo=dt.UTC)), ("day", seventh),
    ]:  # fmt: skip
        wanted = [7, 8, 9, 10, 11] if cursor == "id" else [7, 8, 9]
        assert newer(server.url, tmp_path, cursor, after, query) == wanted, cursor
        assert newer(server.url, tmp_path, cursor, None, query) == list(range(1, 12))
    assert newer(server.url, tmp_path, "text", "v9' OR true --", query) == []
    with pytest.raises(DataError, match="no column 'moned'") as caught:
        newer(server.url, tmp_path, "moned", 1, query)
    assert "did you mean" in caught.value.fix


def test_a_url_alone_and_the_source_sql_read_the_same(server: Server, tmp_path: Path) -> None:
    server.put("alone", pa.table({"id": [1, 2], "n": [Decimal("1.5"), None]}))
    wanted = read({"postgres": server.url, "table": "alone"}, tmp_path / "a")
    assert wanted.to_pylist() == [{"id": 1, "n": 1.5}, {"id": 2, "n": None}]
    assert read({"sql": server.url, "table": "alone"}, tmp_path / "b").equals(wanted)


def test_two_columns_of_one_name_are_refused(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="duplicate column names"):
        read({"postgres": server.url, "query": "SELECT 1 AS a, 2 AS a"}, tmp_path)
