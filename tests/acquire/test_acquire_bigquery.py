"""BigQuery as a source: the official client against an emulator.

The emulator keeps NUMERIC with 3 decimal places and whole NUMERICs only up to 18 digits, has no BIGNUMERIC, does not
ask who reads, does not meter, and knows no Storage Read API for the results of queries; the tests say where that
counts.
"""

from __future__ import annotations

import base64
import datetime as dt
import io
import json
import math
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.types as pt
import pytest
from google.cloud import bigquery as official
from pydantic import ValidationError

from bessemer.acquire.sources.bigquery import BigQuery, BigQuerySource
from bessemer.acquire.spec import AcquireSpec
from bessemer.core.bigquery import BigQueryLogin, connect
from bessemer.core.errors import DataError, EnvironmentFault
from bessemer.core.stage import Context
from bessemer.core.store import Store
from bessemer.testing.sources import CHECKS, Check, Options, read
from systems.bigquery import PROJECT, Emulator, bigquery
from systems.cut import Wire, wire

pytestmark = pytest.mark.slow
DATASET = f"{PROJECT}.shop"


class Server:
    """Tables of the emulator, read through a wire that can be cut."""

    #: The emulator asks nobody who they are, and forgets how many digits a NUMERIC has.
    lacks = frozenset({"credentials", "decimal"})

    def __init__(self, emulator: Emulator, rest: Wire, grpc: Wire | None) -> None:
        self.client = connect(BigQueryLogin(endpoint=emulator.endpoint), PROJECT)
        self.wire = rest if grpc is None else grpc
        self.options: Options = {
            "bigquery": DATASET,
            "endpoint": f"http://127.0.0.1:{rest.port}",
            "timeout": 300,
            "storage_api": grpc is not None,
            **({"storage_endpoint": f"127.0.0.1:{grpc.port}"} if grpc else {}),
        }

    def put(self, name: str, table: pa.Table) -> Options:
        columns = ", ".join(f"`{field.name}` {_type(field.type)}" for field in table.schema)
        self.run(f"CREATE OR REPLACE TABLE shop.{name} ({columns})")
        self._load(name, table)
        self.given = {**self.options, "table": name}
        return self.given

    def add(self, name: str, table: pa.Table) -> None:
        known = {field.name for field in self.client.get_table(f"{DATASET}.{name}", retry=None).schema}
        for field in table.schema:
            if field.name not in known:
                self.run(f"ALTER TABLE shop.{name} ADD COLUMN {field.name} {_type(field.type)}")
        self._load(name, table)

    def _load(self, name: str, table: pa.Table) -> None:
        lines = "\n".join(json.dumps(row, default=_text, ensure_ascii=False) for row in _rows(table))
        if not lines:
            return
        there = self.client.get_table(f"{DATASET}.{name}", retry=None)
        wanted = [field for field in there.schema if field.name in table.column_names]
        settings = official.LoadJobConfig(source_format="NEWLINE_DELIMITED_JSON", schema=wanted)
        file = io.BytesIO(lines.encode())
        self.client.load_table_from_file(file, f"{DATASET}.{name}", job_config=settings).result(retry=None)

    def run(self, sql: str) -> None:
        self.client.query(sql, retry=None).result(retry=None)

    def missing(self, name: str) -> Options:
        return {**self.options, "table": name}

    def refused(self, name: str) -> Options:
        raise NotImplementedError

    def interrupted(self) -> AbstractContextManager[None]:
        return self.wire.cut_for(self.given)


def _rows(table: pa.Table) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if value is not None} for row in table.to_pylist()]


def _text(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value.isoformat(" ") if isinstance(value, dt.datetime) else str(value)


def _type(kind: pa.DataType) -> str:
    if pt.is_list(kind):
        return f"ARRAY<{_type(kind.value_type)}>"
    if pt.is_struct(kind):
        return f"STRUCT<{', '.join(f'`{field.name}` {_type(field.type)}' for field in kind)}>"
    if pt.is_timestamp(kind):
        return "TIMESTAMP" if kind.tz else "DATETIME"
    names = {"bool": "BOOL", "int32": "INT64", "int64": "INT64", "double": "FLOAT64", "string": "STRING"}
    return names.get(str(kind), "DATE")


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with bigquery(tmp_path_factory.mktemp("bigquery")) as made:
        connect(BigQueryLogin(endpoint=made.endpoint), PROJECT).create_dataset(DATASET)
        yield made


@pytest.fixture(scope="module", params=["storage", "rest"])
def server(request: pytest.FixtureRequest, emulator: Emulator) -> Iterator[Server]:
    with wire(emulator.rest) as rest, wire(emulator.grpc) as grpc:
        yield Server(emulator, rest, grpc if request.param == "storage" else None)


@pytest.fixture(scope="module")
def plain(emulator: Emulator) -> Iterator[Server]:
    with wire(emulator.rest) as rest:
        yield Server(emulator, rest, None)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_conformance(check: Check, server: Server, tmp_path: Path) -> None:
    check(server, tmp_path)


def context(folder: Path) -> Context:
    return Context(Store(folder / "store"), "acquire", {}, 7, folder, folder)


def arrow(options: Options, folder: Path) -> pa.Table:
    """What the source gives, before it lands."""
    batches = BigQuery("data", BigQuerySource.model_validate(options)).open(None, context(folder)).batches
    assert batches is not None
    return pa.Table.from_batches(list(batches))


def test_each_type_comes_as_it_is(server: Server, tmp_path: Path) -> None:
    columns = {
        "n": "NUMERIC", "dt": "DATETIME", "ts": "TIMESTAMP", "ti": "TIME", "ar": "ARRAY<STRING>", "j": "JSON",
        "st": "STRUCT<x INT64, z ARRAY<INT64>>", "b": "BYTES", "f": "FLOAT64",
    }  # fmt: skip
    server.run(f"CREATE OR REPLACE TABLE shop.kinds ({', '.join(f'{n} {k}' for n, k in columns.items())})")
    moment = dt.datetime(2024, 7, 1, 10, 0, 0, 1)
    row = {
        "n": "123456.5", "dt": "2024-07-01T10:00:00.000001", "ts": "2024-07-01T10:00:00.000001Z", "ti": "12:30:00",
        "ar": ["a", "b"], "j": '{"a": [1, null]}', "st": {"x": 1, "z": [1, 2]}, "b": "YWJj", "f": "inf",
    }  # fmt: skip
    assert not server.client.insert_rows_json(f"{DATASET}.kinds", [row])
    (found,) = arrow({**server.options, "table": "kinds"}, tmp_path).to_pylist()
    assert json.loads(found.pop("j")) == {"a": [1, None]}
    assert found == {
        "n": Decimal("123456.5"), "dt": moment, "ts": moment.replace(tzinfo=dt.UTC), "ti": dt.time(12, 30),
        "ar": ["a", "b"], "st": {"x": 1, "z": [1, 2]}, "b": b"abc", "f": math.inf,
    }  # fmt: skip


def test_a_query_has_parameters_and_its_order(server: Server, tmp_path: Path) -> None:
    server.put("ordered", pa.table({"id": range(9), "name": list("abcdefghi")}))
    query = "SELECT id, name FROM ordered WHERE name IN UNNEST(@names) AND id >= @least ORDER BY id DESC;"
    options = {**server.options, "query": query, "parameters": {"names": ["a", "c", "e"], "least": 1}}
    assert arrow(options, tmp_path)["id"].to_pylist() == [4, 2]


def test_what_is_wrong_is_said(plain: Server, tmp_path: Path) -> None:
    plain.put("said", pa.table({"id": [1], "amount": [1.5]}))
    wrong = {
        "did you mean 'said'": {"table": "sadi"},
        "did you mean 'shop'": {"bigquery": f"{PROJECT}.shpo", "table": "said"},
        "none is named": {},
        "amont": {"query": "SELECT amont FROM said"},
        "Syntax error": {"query": "SELEC 1"},
        "division by zero": {"query": "SELECT 1 / (id - 1) AS a, 1 AS b FROM said"},
        "no column 'idd'": {"table": "said", "incremental": {"cursor": "idd"}},
    }
    plain.put("second", pa.table({"id": [1]}))
    for words, options in wrong.items():
        given = BigQuerySource.model_validate({**plain.options, **options})
        source = BigQuery("data", given)
        with pytest.raises(DataError) as caught:
            list(source.newer(1 if given.incremental else None, context(tmp_path)))
        assert words in str(caught.value), caught.value
        assert "Job ID" not in str(caught.value)


def test_only_what_is_new_is_asked_for(plain: Server, tmp_path: Path) -> None:
    plain.run(
        "CREATE OR REPLACE TABLE shop.versions AS SELECT id, CAST(id / 10 AS FLOAT64) AS part, "
        "CAST(id / 10 AS NUMERIC) AS num, CONCAT('v', CAST(id AS STRING)) AS text, "
        "DATE_ADD(DATE '2024-01-01', INTERVAL id DAY) AS day, "
        "DATETIME_ADD(DATETIME '2024-01-01 00:00:00', INTERVAL id DAY) AS at, "
        "TIMESTAMP_ADD(TIMESTAMP '2024-01-01 00:00:00+00', INTERVAL id DAY) AS moment "
        "FROM UNNEST(GENERATE_ARRAY(1, 9)) AS id"
    )
    plain.run("INSERT INTO shop.versions (id) VALUES (10)")
    seventh = dt.datetime(2024, 1, 8)
    for cursor, after in [
        ("id", 7), ("num", 0.7), ("part", 0.7), ("text", "v7"), ("at", seventh), ("moment", seventh), ("day", seventh),
    ]:  # fmt: skip
        options = {**plain.options, "table": "versions", "incremental": {"cursor": cursor}}
        source = BigQuery("data", BigQuerySource.model_validate(options))
        found = pa.Table.from_batches(list(source.newer(after, context(tmp_path))))
        wanted = [7, 8, 9, 10] if cursor == "id" else [7, 8, 9]
        assert sorted(found["id"].to_pylist()) == wanted, cursor


@contextmanager
def metered(emulator: Emulator, size: int) -> Iterator[str]:
    """The emulator's address, as if its tables had a size: it does not meter itself."""

    class Relay(BaseHTTPRequestHandler):
        def do(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)) or None
            headers = {n: v for n, v in self.headers.items() if n.lower() not in ("host", "accept-encoding")}
            asked = urllib.request.Request(emulator.endpoint + self.path, body, headers, method=self.command)
            try:
                answer = urllib.request.urlopen(asked)
            except urllib.error.HTTPError as error:
                answer = error
            said = rb'"(totalBytesProcessed|numBytes)":\s*"0"'
            data = re.sub(said, rb'"\1":"%d"' % size, answer.read())
            self.send_response(answer.status or 500)
            self.send_header("Content-Type", answer.headers["Content-Type"] or "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do

        def log_message(self, *args: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Relay) as relay:
        threading.Thread(target=relay.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{relay.server_address[1]}"
        finally:
            relay.shutdown()


@pytest.mark.parametrize("what", [{"table": "dear"}, {"query": "SELECT * FROM dear"}])
def test_what_it_costs_is_known_before(
    server: Server, emulator: Emulator, tmp_path: Path, what: Options
) -> None:
    server.put("dear", pa.table({"id": [1, 2], "n": [1, 2]}))
    with metered(emulator, 3 * 2**30) as endpoint:
        options = {**server.options, "endpoint": endpoint, **what}
        with pytest.raises(DataError) as caught:
            read({**options, "max_bytes": "1GB"}, tmp_path)
        assert "would read 3.0 GB" in caught.value.what
        assert "allows 1.0 GB" in caught.value.why
        assert read({**options, "max_bytes": "4GB"}, tmp_path).num_rows == 2


def test_without_credentials_it_says_how_to_log_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    with pytest.raises(EnvironmentFault, match="no credentials") as caught:
        arrow({"bigquery": DATASET, "table": "t"}, tmp_path)
    assert "gcloud auth application-default login" in caught.value.fix


@pytest.mark.parametrize(
    "options", [{"bigquery": "shop"}, {"bigquery": DATASET, "endpoint": "http://me:secret@host"}]
)
def test_a_place_that_cannot_be_is_a_fault(options: Options) -> None:
    with pytest.raises(ValidationError):
        AcquireSpec.model_validate({"sources": {"data": options}})
