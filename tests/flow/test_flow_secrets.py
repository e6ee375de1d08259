"""A project over servers that want passwords, in success and in failure: nothing it leaves behind has any of them."""

from __future__ import annotations

import base64
import gzip
import io
import json
import os
import sqlite3
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from secrets_search import found_in
from tests_support import write_project

import noida
from systems.moto import moto
from systems.postgres import LOCKED, postgres

pytestmark = pytest.mark.slow

#: In each secret stands a mark that no encoding of text changes, beside characters that all of them do.
MARKS = {
    name: f"7mark{name.lower().replace('_', '')}7"
    for name in (
        "SHOP_PASSWORD",
        "WRONG_PASSWORD",
        "WEB_PASSWORD",
        "AWS_SECRET_ACCESS_KEY",
        "API_TOKEN",
        "WEBHOOK_URL",
        "WEBHOOK_HEADERS",
        "WEBHOOK_SECRET",
        "BROKER_PASSWORD",
        "MAIL_PASSWORD",
    )
}
PASSWORDS = {name: f"p+{mark}/\"é%41'@x" for name, mark in MARKS.items()}
PASSWORDS["API_TOKEN"] = f"p+{MARKS['API_TOKEN']}/\"%41'@x"  # a header has no other letters
ROWS = 400
CODE = """
import logging, os, threading, urllib.request, warnings

import pyarrow as pa

logging.basicConfig(level=logging.DEBUG, filename="debug.log", format="%(asctime)s %(name)s %(message)s")
TOKEN = os.environ["API_TOKEN"]


def rows():
    logging.getLogger("a.client").debug("asking with %s and %r", TOKEN, {"token": TOKEN})
    warnings.warn(f"{TOKEN} will expire")
    thread = threading.Thread(target=fails)
    thread.start()
    thread.join()
    return pa.table({"id": list(range(400)), "hue": [i % 3 for i in range(400)]})


def fails():
    raise RuntimeError(f"cannot use {TOKEN}, {TOKEN!r} or {TOKEN.encode()!r}")
"""


class Locked(BaseHTTPRequestHandler):
    """Gives a table, and takes notices, from who shows the password."""

    def do_GET(self) -> None:
        said = base64.b64encode(f"me:{PASSWORDS['WEB_PASSWORD']}".encode()).decode()
        if self.headers.get("Authorization") != f"Basic {said}":
            self.answer(401, f"who are you, {self.headers.get('Authorization')}?".encode())
        else:
            self.answer(200, b"id,size\n" + b"".join(b"%d,%d\n" % (i, i % 7) for i in range(ROWS)))

    do_HEAD = do_GET

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(403, f"no to {self.headers.get('X-Team')} at {self.path}".encode())

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Locked)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@dataclass
class Place:
    """Where everything happens: a project, and a home and a folder for temporary files that are its own."""

    folder: Path
    shop: str
    site: str
    broker: str
    environment: dict[str, str]
    said: list[str] = field(default_factory=list)

    @property
    def project(self) -> Path:
        return self.folder / "project"

    def bessemer(self, *words: object, code: int | None = 0, **environment: str) -> str:
        """What a command says on both its outputs, which is kept beside the project's files."""
        done = subprocess.run(
            [sys.executable, "-m", "bessemer", *map(str, words)],
            cwd=self.project,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        self.said.append(f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}")
        assert code is None or done.returncode == code, done.stderr
        (self.folder / f"said-{len(self.said)}.txt").write_text(self.said[-1], "utf-8")
        return self.said[-1]

    def write(self, **sources: Any) -> None:
        """The project file, with other sources in the place of the usual ones."""
        usual = {
            "orders": {
                "sql": f"postgres://{LOCKED}:${{SHOP_PASSWORD}}@{self.shop}",
                "query": "select id, price, paid from orders order by id",
            },
            "pages": {"csv": f"http://me:${{WEB_PASSWORD}}@{self.site}/pages.csv"},
            "lake": {"parquet": "s3://lake/rows.parquet"},
            "own": {"python": "own:rows"},
        }
        write_project(
            self.project,
            target="paid",
            acquire={
                "sources": usual | sources,
                "sql": "select o.*, p.size, l.depth, own.hue from orders o join pages p using (id) "
                "join lake l using (id) join own using (id) order by id",
            },
            train={"learner": "linear"},
            package={"ignore_gates": True},
            monitor={"alerts": {"to": self.receivers()}},
        )

    def receivers(self) -> list[Any]:
        return [
            {
                "webhook": {
                    "url_env": "WEBHOOK_URL",
                    "headers_env": "WEBHOOK_HEADERS",
                    "secret_env": "WEBHOOK_SECRET",
                }
            },
            {"slack": {"url_env": "SLACK_URL"}},
            {
                "kafka": {
                    "servers": self.broker,
                    "topic": "t",
                    "timeout": "3s",
                    "config": {
                        "security.protocol": "SASL_PLAINTEXT",
                        "sasl.mechanism": "PLAIN",
                        "sasl.username": "me",
                    },
                    "secrets_env": {"sasl.password": "BROKER_PASSWORD"},
                }
            },
            {
                "email": {
                    "host": "127.0.0.1",
                    "port": 9,
                    "security": "starttls",
                    "username": "me",
                    "password_env": "MAIL_PASSWORD",
                    "sender": "a@example.org",
                    "to": ["b@example.org"],
                }
            },
        ]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, site: str) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("secrets")
    with ExitStack() as stack:
        url = stack.enter_context(postgres())
        address = url.partition("@")[2]
        with psycopg.connect(url, autocommit=True) as database:
            password = PASSWORDS["SHOP_PASSWORD"].replace("'", "''")
            database.execute(f"CREATE ROLE {LOCKED} LOGIN PASSWORD '{password}'")
            database.execute(
                "CREATE TABLE orders AS SELECT i AS id, i * 1.5 AS price, i * 7 % 5 > 2 AS paid "
                f"FROM generate_series(0, {ROWS - 1}) i"
            )
            database.execute(
                f"GRANT SELECT ON orders TO {LOCKED}; GRANT CREATE, USAGE ON SCHEMA public TO {LOCKED}"
            )
        endpoint = stack.enter_context(moto(tmp_path_factory.mktemp("moto")))
        broker = stack.enter_context(noida.running("kafka", tmp_path_factory.mktemp("broker"))).address
        environment = {
            **os.environ,
            **PASSWORDS,
            "AWS_ACCESS_KEY_ID": "me",
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_DEFAULT_REGION": "us-east-1",
            "WEBHOOK_URL": f"http://{site}/hooks/{MARKS['WEBHOOK_URL']}",
            "WEBHOOK_HEADERS": f"x-team=p+{MARKS['WEBHOOK_HEADERS']}",
            "WEBHOOK_SECRET": f"whsec_{MARKS['WEBHOOK_SECRET']:A<40}",
            "SLACK_URL": f"http://127.0.0.1:9/{MARKS['WEBHOOK_URL']}",
            "HOME": str(folder / "home"),
            "XDG_CACHE_HOME": str(folder / "home" / ".cache"),
            "TMPDIR": str(folder / "tmp"),
        }
        for name in ("home", "tmp"):
            (folder / name).mkdir()
        made = Place(folder, address, site, broker, environment)
        made.project.mkdir()
        (made.project / "own.py").write_text(CODE, "utf-8")
        rows = pa.table({"id": range(ROWS), "depth": [i % 11 / 3 for i in range(ROWS)]})
        _upload(endpoint, rows)
        yield made


def _upload(endpoint: str, rows: pa.Table) -> None:
    import boto3

    data = io.BytesIO()
    pq.write_table(rows, data)
    words = {"aws_access_key_id": "me", "aws_secret_access_key": "none", "region_name": "us-east-1"}
    client = boto3.client("s3", endpoint_url=endpoint, **words)
    client.create_bucket(Bucket="lake")
    client.put_object(Bucket="lake", Key="rows.parquet", Body=data.getvalue())


@pytest.fixture(scope="module")
def package(place: Place) -> Path:
    """What a run that went well has made."""
    place.write()
    said = place.bessemer("run", "--json")
    assert "will expire" in said
    assert "cannot use" in said, "the thread's trace is shown"
    (found,) = (place.project / "build").glob("*.bsm")
    return found


def clean(place: Place) -> None:
    """Nothing has a mark: the project, the store, the home, temporary files, and what commands said."""
    assert not found_in(place.folder, list(MARKS.values()))


def test_a_run_leaves_no_secret_behind(place: Place, package: Path) -> None:
    log = (place.project / "debug.log").read_text("utf-8")
    assert "asking with *** and {'token': '***'}" in log
    assert "botocore" in log, "client libraries wrote into it"
    rows = json.loads(place.said[0].partition("\n")[2].partition("\n}")[0] + "\n}")["stages"][0]
    assert rows["stage"] == "acquire"
    clean(place)


@pytest.mark.parametrize(
    ("sources", "environment", "says"),
    [
        ({}, {"SHOP_PASSWORD": PASSWORDS["WRONG_PASSWORD"]}, "password authentication failed"),
        ({}, {"WEB_PASSWORD": PASSWORDS["WRONG_PASSWORD"]}, "401"),
        ({}, {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1"}, "s3://lake"),
        (
            {"orders": {"sql": f"postgres://{LOCKED}:${{SHOP_PASSWORD}}@127.0.0.1:9/x", "table": "t"}},
            {},
            "127.0.0.1",
        ),
        ({"orders": {"sql": "${WRONG_PASSWORD}", "table": "t"}}, {}, "cannot be read"),
        ({"orders": {"sql": "mysql://me:${SHOP_PASSWORD}@127.0.0.1:9/x", "table": "t"}}, {}, "mysql"),
        ({"pages": {"csv": "http://me:${WEB_PASSWORD}@127.0.0.1:9/pages.csv"}}, {}, "127.0.0.1"),
        (
            {"lake": {"mongodb": "mongodb://me:${SHOP_PASSWORD}@127.0.0.1:9/x", "timeout": "1s"}},
            {},
            "127.0.0.1",
        ),
        ({"lake": {"rest": "http://{site}/rows", "token_env": "API_TOKEN", "retries": 0}}, {}, "401"),
        ({"own": {"python": "own:fails"}}, {}, "RuntimeError: cannot use ***, '***' or b'"),
    ],
)
def test_a_run_that_fails_leaves_no_secret_behind(
    place: Place, package: Path, sources: Any, environment: dict[str, str], says: str
) -> None:
    place.write(**json.loads(json.dumps(sources).replace("{site}", place.site)))
    as_json = ["--json"] if environment else []
    said = place.bessemer("run", *as_json, "--upto", "acquire", code=None, **environment)
    assert says in said
    assert not said.splitlines()[0].endswith(": 0")
    clean(place)


def test_predictions_from_and_into_servers_leave_no_secret_behind(place: Place, package: Path) -> None:
    place.write()
    shop = f"postgres://{LOCKED}:${{SHOP_PASSWORD}}@{place.shop}"
    rows = "select id, price, (id % 7)::bigint as size, id % 11 / 3.0 as depth, (id % 3)::bigint as hue from orders"
    source = json.dumps({"sql": shop, "query": rows})
    said = place.bessemer("predict", package, source, "-o", shop, "--table", "scored", "--snapshot", "--json")
    assert f'"rows": {ROWS}' in said
    place.bessemer("predict", package, source, "-o", "s3://lake/scored.parquet", "--snapshot")
    wrong = {"SHOP_PASSWORD": PASSWORDS["WRONG_PASSWORD"]}
    for output in ("out.parquet", shop):
        told = ["--table", "again"] if output == shop else []
        said = place.bessemer("predict", package, source, "-o", output, *told, code=None, **wrong)
        assert "password authentication failed" in said
    typed = source.replace("${SHOP_PASSWORD}", quote(PASSWORDS["WRONG_PASSWORD"], safe=""))
    place.bessemer("predict", package, typed, "-o", "out.parquet", code=None)
    place.said[-1] = place.said[-1].split("\n", 1)[1]  # what was typed stands in the first line
    (place.folder / f"said-{len(place.said)}.txt").write_text(place.said[-1], "utf-8")
    clean(place)


def test_alerts_leave_no_secret_behind(place: Place, package: Path) -> None:
    place.write()
    for words in ((), ("--json",)):
        said = place.bessemer("monitor", "alerts", "--test", *words, code=6)
        assert "no to ***" in said, "the server repeats what it was sent"
        assert all(receiver in said for receiver in ("slack", "kafka", "email"))
    clean(place)


def test_what_shows_runs_has_no_secret(place: Place, package: Path) -> None:
    place.write()
    for words in (
        ("runs",),
        ("show", "--json"),
        ("lineage", "package"),
        ("data", "log"),
        ("data", "show", "--json"),
        ("verify", package),
    ):
        place.bessemer(*words, code=None)
    clean(place)


def test_a_project_file_with_secrets_is_refused_and_shows_none(place: Place, tmp_path: Path) -> None:
    write_project(
        tmp_path,
        target="paid",
        acquire={
            "sources": {
                "a": {"sql": f"mysql://me:{MARKS['SHOP_PASSWORD']}@h/x", "table": "t"},
                "b": {"csv": "s3://b/a.csv", "secret_access_key": MARKS["AWS_SECRET_ACCESS_KEY"]},
            },
            "sql": "select * from a join b using (id)",
        },
    )
    for words in (("run", tmp_path), ("run", tmp_path, "--json"), ("flow", tmp_path)):
        place.bessemer(*words, code=None)
    assert "a password in a URL" in place.said[-2]
    assert "'secret_access_key' has its value in the project file" in place.said[-2]
    clean(place)


def test_the_search_finds_what_is_there(tmp_path: Path) -> None:
    """Each way in which a secret could be left behind: without this the others would show nothing."""
    mark = MARKS["SHOP_PASSWORD"]
    assert not found_in(tmp_path, [mark])
    table = pa.table({"a": ["x" * 1000, f"say {mark}"] * 50})
    pq.write_table(table, tmp_path / "zstd.parquet", compression="zstd")
    pq.write_table(table.schema.with_metadata({"dsn": mark}).empty_table(), tmp_path / "meta.parquet")
    with zipfile.ZipFile(tmp_path / "packed.bsm", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("inner.parquet", (tmp_path / "zstd.parquet").read_bytes())
    (tmp_path / "log.gz").write_bytes(gzip.compress(f"at {mark}".encode()))
    with pa.CompressedOutputStream(str(tmp_path / "log.zst"), "zstd") as packed:
        packed.write(f"at {mark} {mark}".encode())
    with sqlite3.connect(tmp_path / "rows.db") as database:
        database.execute("CREATE TABLE t (a TEXT)")
        database.execute("INSERT INTO t VALUES (?)", [f"at {mark}"])
    database.close()
    (tmp_path / "wide.txt").write_bytes(f"at {mark}".encode("utf-16"))
    for user in ("m", "me", "me2"):
        (tmp_path / f"header-{user}.txt").write_bytes(base64.b64encode(f"{user}:{mark}".encode()))
    (tmp_path / f"of-{mark}.txt").touch()
    (tmp_path / "clean.txt").write_text("nothing", "utf-8")
    told = {place.split(":")[0] for place in found_in(tmp_path, [mark])}
    assert told == {path.name for path in tmp_path.iterdir()} - {"clean.txt"}
