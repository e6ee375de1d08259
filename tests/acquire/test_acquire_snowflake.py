"""Snowflake as a source: the official client against an emulator.

The emulator lets everybody in, makes a database and a schema that somebody connects to, keeps NUMBER(38, 0) in 64 bits,
and has no VECTOR; what Snowflake itself sends of such types is given to the conversion directly.
"""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Iterator
from contextlib import AbstractContextManager
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.types as pt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import ValidationError
from snowflake import connector

from bessemer.acquire.sources.snowflake import Snowflake, SnowflakeSource
from bessemer.acquire.spec import AcquireSpec
from bessemer.core.errors import DataError, UsageError
from bessemer.core.snowflake_types import converted, types
from bessemer.core.stage import Context
from bessemer.core.store import Store
from bessemer.testing.sources import CHECKS, Check, Options, read
from systems.cut import Wire, wire
from systems.snowflake import snowflake

pytestmark = pytest.mark.slow


class Server:
    """Tables of the emulator, read through a wire that can be cut."""

    #: The emulator asks nobody who they are.
    lacks = frozenset({"credentials"})

    def __init__(self, port: int, made: Wire) -> None:
        self.connection = connector.connect(
            user="fake", password="snow", account="shop", host="127.0.0.1", port=port, protocol="http",
            session_parameters={"CLIENT_TELEMETRY_ENABLED": False},
        )  # fmt: skip
        self.run("CREATE DATABASE IF NOT EXISTS shop")
        self.run("CREATE SCHEMA IF NOT EXISTS shop.public")
        self.run("USE SCHEMA shop.public")
        self.wire = made
        self.options: Options = {
            "snowflake": "shop", "database": "shop", "user": "fake", "password_env": "SNOWFLAKE_PASSWORD",
            "endpoint": f"http://127.0.0.1:{made.port}", "timeout": 300,
        }  # fmt: skip

    def run(self, sql: str) -> None:
        self.connection.cursor().execute(sql)

    def put(self, name: str, table: pa.Table) -> Options:
        columns = ", ".join(f'"{field.name}" {_type(field.type)}' for field in table.schema)
        self.run(f'CREATE OR REPLACE TABLE "{name}" ({columns})')
        self._insert(name, table)
        self.given = {**self.options, "table": name}
        return self.given

    def add(self, name: str, table: pa.Table) -> None:
        cursor = self.connection.cursor()
        there = {column.name for column in cursor.describe(f'SELECT * FROM "{name}"')}
        for field in table.schema:
            if field.name not in there:
                self.run(f'ALTER TABLE "{name}" ADD COLUMN "{field.name}" {_type(field.type)}')
        self._insert(name, table)

    def _insert(self, name: str, table: pa.Table) -> None:
        names = ", ".join(f'"{column}"' for column in table.column_names)
        if table.num_rows > 1_000:  # the emulator takes long to read so many literals
            listed = ", ".join(f'r.value:"{f.name}"::{_type(f.type)}' for f in table.schema)
            rows = _literal(json.dumps(table.to_pylist()))
            self.run(
                f'INSERT INTO "{name}" ({names}) SELECT {listed} FROM TABLE(FLATTEN(PARSE_JSON({rows}))) r'
            )
        elif rows := ", ".join(f"({', '.join(map(_literal, row.values()))})" for row in table.to_pylist()):
            self.run(f'INSERT INTO "{name}" ({names}) SELECT * FROM VALUES {rows}')

    def missing(self, name: str) -> Options:
        return {**self.options, "table": name}

    def refused(self, name: str) -> Options:
        raise NotImplementedError

    def interrupted(self) -> AbstractContextManager[None]:
        return self.wire.cut_for(self.given)


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, dict | list):
        return f"PARSE_JSON({_literal(json.dumps(value, ensure_ascii=False))})"
    if isinstance(value, float) and not math.isfinite(value):
        return f"'{value}'::FLOAT"
    if isinstance(value, dt.datetime):
        return f"'{value.isoformat(' ')}'::{'TIMESTAMP_TZ' if value.tzinfo else 'TIMESTAMP_NTZ'}"
    if isinstance(value, dt.date):
        return f"'{value}'::DATE"
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
    return repr(value) if isinstance(value, float) else str(value)


def _type(kind: pa.DataType) -> str:
    if pt.is_decimal(kind):
        return f"NUMBER({kind.precision}, {kind.scale})"
    if pt.is_timestamp(kind):
        return "TIMESTAMP_TZ" if kind.tz else "TIMESTAMP_NTZ"
    names = {"bool": "BOOLEAN", "double": "FLOAT", "string": "VARCHAR", "date32[day]": "DATE"}
    return names.get(str(kind), "NUMBER(38, 0)" if pt.is_integer(kind) else "VARIANT")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with snowflake(tmp_path_factory.mktemp("snowflake")) as port, wire(port) as made:
        yield Server(port, made)


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNOWFLAKE_PASSWORD", "snow-and-ice")


def context(folder: Path) -> Context:
    return Context(Store(folder / "store"), "acquire", {}, 7, folder, folder)


def arrow(options: Options, folder: Path) -> pa.Table:
    """What the source gives, before it lands."""
    batches = Snowflake("data", SnowflakeSource.model_validate(options)).open(None, context(folder)).batches
    assert batches is not None
    return pa.Table.from_batches(list(batches))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_conformance(check: Check, server: Server, tmp_path: Path) -> None:
    check(server, tmp_path)


def test_each_type_comes_as_it_is(server: Server, tmp_path: Path) -> None:
    query = """
        SELECT 12345678901234567890123::NUMBER(38, 2) AS n, 9999999999::NUMBER(38, 0) AS w, 1.10::NUMBER(9, 2) AS d,
            1.5::FLOAT AS f, PARSE_JSON('{"a": [1, null]}') AS v, OBJECT_CONSTRUCT('k', 1) AS o,
            '2024-01-01 01:02:03.123456'::TIMESTAMP_NTZ AS ntz,
            '2024-07-01 12:00:00 +0200'::TIMESTAMP_LTZ AS ltz, '2024-07-01 12:00:00 +0200'::TIMESTAMP_TZ AS tz,
            '9999-12-31 23:59:59.999999'::TIMESTAMP_NTZ AS late, '0001-01-01'::DATE AS early, '12:30:00'::TIME AS t,
            TRUE AS b, 'x' AS s;
    """
    (found,) = arrow({**server.options, "query": query}, tmp_path).to_pylist()
    noon = dt.datetime(2024, 7, 1, 10, tzinfo=dt.UTC)
    texts = {name: json.loads(found.pop(name)) for name in "VO"}
    assert texts == {"V": {"a": [1, None]}, "O": {"k": 1}}
    assert found == {
        "N": Decimal("12345678901234567890123.00"), "W": Decimal(9999999999), "D": Decimal("1.10"), "F": 1.5,
        "NTZ": dt.datetime(2024, 1, 1, 1, 2, 3, 123456), "LTZ": noon, "TZ": noon, "LATE": dt.datetime.max,
        "EARLY": dt.date(1, 1, 1), "T": dt.time(12, 30), "B": True, "S": "x",
    }  # fmt: skip
    server.run(
        "CREATE OR REPLACE TABLE lists (a ARRAY)"
    )  # the emulator cannot select one that is not in a table
    server.run("INSERT INTO lists SELECT ARRAY_CONSTRUCT(1, 2)")
    assert json.loads(arrow({**server.options, "table": "lists"}, tmp_path)["A"][0].as_py()) == [1, 2]


def test_what_snowflake_sends_beyond_the_emulator_is_kept() -> None:
    """Whole numbers of 38 digits, batches whose integers are as narrow as their values, vectors, nanoseconds."""
    kinds = [(0, 38, 0), (0, 5, 0), (0, 12, 2), (16, None, None), (8, None, 9), (7, None, 9), (12, None, 9)]
    description = [SimpleNamespace(type_code=code, precision=p, scale=s) for code, p, s in kinds]
    wide, nano = Decimal(10**38 - 1), 1_719_828_000_000_000_999
    table = pa.table(
        [
            pa.array([wide], pa.decimal128(38, 0)), pa.array([7], pa.int8()), pa.array([Decimal("1.10")]),
            pa.array([[0.5, 1.5]], pa.list_(pa.float32(), 2)), pa.array([nano], pa.timestamp("ns")),
            pa.array([nano], pa.timestamp("ns", "America/New_York")), pa.array([999_999], pa.time64("ns")),
        ],
        names=list("abcdefg"),
    )  # fmt: skip
    (batch,) = converted(table, list("abcdefg"), types(description))
    (row,) = batch.to_pylist()
    noon = dt.datetime(2024, 7, 1, 10)
    assert row == {
        "a": wide, "b": 7, "c": Decimal("1.10"), "d": [0.5, 1.5], "e": noon, "f": noon.replace(tzinfo=dt.UTC),
        "g": dt.time(0, 0, 0, 999),
    }  # fmt: skip
    assert batch.schema.field("b").type == pa.int64()


def test_names_are_found_in_capitals(server: Server, tmp_path: Path) -> None:
    server.run("CREATE OR REPLACE TABLE orders AS SELECT 1 AS id, 2 AS n")
    assert arrow({**server.options, "table": "orders"}, tmp_path).to_pylist() == [{"ID": 1, "N": 2}]


def test_what_is_wrong_is_said(server: Server, tmp_path: Path) -> None:
    server.run("CREATE OR REPLACE TABLE orders AS SELECT 1 AS id, 2 AS n")
    server.put("second", pa.table({"id": [1]}))
    wrong = {
        "did you mean 'ORDERS'": {"table": "ORDRES"},
        "none is named": {},
        "NOPE": {"query": "SELECT * FROM nope"},
        "SELEC": {"query": "SELEC 1"},
    }
    for words, options in wrong.items():
        with pytest.raises(DataError) as caught:
            arrow({**server.options, **options}, tmp_path)
        assert words in str(caught.value), caught.value
        assert caught.value.fix


def test_only_what_is_new_is_asked_for(server: Server, tmp_path: Path) -> None:
    day = "DATEADD(day, id, '2024-01-01'::TIMESTAMP_NTZ)"
    server.run(
        "CREATE OR REPLACE TABLE versions AS SELECT id, (id / 10)::FLOAT AS part, (id / 10)::NUMBER(9, 1) AS num, "
        f"'v' || id AS text, {day} AS at, ({day})::TIMESTAMP_TZ AS moment, {day}::DATE AS day "
        "FROM (SELECT SEQ4() + 1 AS id FROM TABLE(GENERATOR(ROWCOUNT => 9)))"
    )
    server.run("INSERT INTO versions (id) VALUES (10)")
    seventh = dt.datetime(2024, 1, 8)
    for cursor, after in [
        ("ID", 7), ("PART", 0.7), ("NUM", 0.7), ("TEXT", "v7"), ("AT", seventh), ("MOMENT", seventh), ("DAY", seventh),
    ]:  # fmt: skip
        options = {**server.options, "table": "versions", "incremental": {"cursor": cursor}}
        source = Snowflake("data", SnowflakeSource.model_validate(options))
        found = pa.Table.from_batches(list(source.newer(after, context(tmp_path))))
        wanted = [7, 8, 9, 10] if cursor == "ID" else [7, 8, 9]
        assert sorted(int(value) for value in found["ID"].to_pylist()) == wanted, cursor
    source = Snowflake(
        "data", SnowflakeSource.model_validate({**options, "incremental": {"cursor": "MOMNT"}})
    )
    with pytest.raises(DataError, match="no column 'MOMNT'"):
        list(source.newer(seventh, context(tmp_path)))


@pytest.mark.parametrize("phrase", [None, "open sesame"])
def test_a_private_key_and_a_token_log_in(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, phrase: str | None
) -> None:
    key = rsa.generate_private_key(65537, 2048)
    locked = (
        serialization.BestAvailableEncryption(phrase.encode()) if phrase else serialization.NoEncryption()
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked)
    monkeypatch.setenv("SNOWFLAKE_KEY", pem.decode())
    monkeypatch.setenv("SNOWFLAKE_PHRASE", phrase or "")
    options = {name: value for name, value in server.options.items() if name != "password_env"}
    by_key = {**options, "private_key_env": "SNOWFLAKE_KEY", "query": "SELECT 1 AS a"}
    by_key |= {"passphrase_env": "SNOWFLAKE_PHRASE"} if phrase else {}
    assert arrow(by_key, tmp_path).num_rows == 1
    monkeypatch.setenv("SNOWFLAKE_TOKEN", "abcdefgh")
    assert (
        arrow({**options, "token_env": "SNOWFLAKE_TOKEN", "query": "SELECT 1 AS a"}, tmp_path).num_rows == 1
    )
    monkeypatch.setenv("SNOWFLAKE_KEY", "no key at all")
    with pytest.raises(UsageError, match="SNOWFLAKE_KEY") as caught:
        arrow(by_key, tmp_path)
    assert "no key at all" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"user": "me"}, "give one of"),
        ({"user": "me", "password_env": "P", "token_env": "T"}, "give one of"),
        ({"password_env": "P"}, "needs `user`"),
        ({"user": "me", "password_env": "P", "passphrase_env": "T"}, "needs `private_key_env`"),
        ({"user": "me", "password": "secret"}, "password"),
    ],
)
def test_one_way_to_log_in(options: Options, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        AcquireSpec.model_validate(
            {"sources": {"data": {"snowflake": "a", "database": "b", "table": "t", **options}}}
        )


def test_a_landed_table_has_the_five_types(server: Server, tmp_path: Path) -> None:
    query = 'SELECT 1 AS "id", 1.25::NUMBER(9, 2) AS "n", \'2024-01-01\'::DATE AS "d"'
    (row,) = read({**server.options, "query": query}, tmp_path).to_pylist()
    assert row == {"id": 1, "n": 1.25, "d": dt.datetime(2024, 1, 1)}
