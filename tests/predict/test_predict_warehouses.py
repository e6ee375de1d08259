"""Predictions into tables of BigQuery and Snowflake, on emulators: each batch once, whatever is killed."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bessemer.core.bigquery import BigQueryLogin
from bessemer.core.bigquery import connect as to_bigquery
from bessemer.core.errors import EnvironmentFault, StoreError, UsageError
from bessemer.core.snowflake import SnowflakeLogin
from bessemer.core.snowflake import connect as to_snowflake
from bessemer.predict.plugins import SINKS
from bessemer.predict.protocol import Progress, Target
from bessemer.predict.target import target_of
from bessemer.testing.sinks import CHECKS, batch, job
from systems.bigquery import PROJECT, Emulator, bigquery
from systems.faulty_http import Fault, Request, Site, in_front_of
from systems.snowflake import snowflake

pytestmark = pytest.mark.slow
NAMES = (f"scored_{number}" for number in itertools.count())
PASSWORD = "snow-and-ice"


class Warehouse:
    """One of the two: places in it, and what its own client says of them. A place has notes of its own."""

    kind = ""

    def __init__(self, port: int) -> None:
        self.port = port

    def target(self, port: int = 0) -> Target:
        """The table `scored` of a new place; through another port, where one is given."""
        name = next(NAMES)
        self.make(name)
        return self.within(name, port or self.port)

    def make(self, place: str) -> None:
        raise NotImplementedError

    def within(self, place: str, port: int, timeout: str = "300s") -> Target:
        raise NotImplementedError

    def rows(self, target: Target, sql: str = "SELECT * FROM {} ORDER BY id") -> list[dict[str, Any]]:
        """What a query says, in which {} is the table."""
        raise NotImplementedError

    def place(self, target: Target) -> str:
        return target.where.partition("?")[0].rpartition("/")[2]


class OnBigQuery(Warehouse):
    kind = "bigquery"

    def __init__(self, emulator: Emulator) -> None:
        super().__init__(emulator.rest)
        self.client = to_bigquery(BigQueryLogin(endpoint=emulator.endpoint), PROJECT)

    def make(self, place: str) -> None:
        self.client.create_dataset(f"{PROJECT}.{place}")

    def within(self, place: str, port: int, timeout: str = "300s") -> Target:
        url = f"bigquery://{PROJECT}/{place}?endpoint=http://127.0.0.1:{port}&timeout={timeout}"
        return target_of(url, table="scored")

    def rows(self, target: Target, sql: str = "SELECT * FROM {} ORDER BY id") -> list[dict[str, Any]]:
        named = sql.format(f"{self.place(target)}.scored")
        return [dict(row.items()) for row in self.client.query(named, retry=None).result(retry=None)]


class OnSnowflake(Warehouse):
    kind = "snowflake"

    def __init__(self, port: int) -> None:
        super().__init__(port)
        endpoint = f"http://127.0.0.1:{port}"
        login = SnowflakeLogin(user="me", password_env="WAREHOUSE_PASSWORD", endpoint=endpoint)
        self.connection = to_snowflake(login, "shop", "SHOP", "PUBLIC")

    def make(self, place: str) -> None:
        self.connection.cursor().execute(f"CREATE SCHEMA {place}")

    def within(self, place: str, port: int, timeout: str = "300s") -> Target:
        url = f"snowflake://me:${{WAREHOUSE_PASSWORD}}@shop/SHOP/{place.upper()}"
        return target_of(f"{url}?endpoint=http://127.0.0.1:{port}&timeout={timeout}", table="scored")

    def rows(self, target: Target, sql: str = "SELECT * FROM {} ORDER BY id") -> list[dict[str, Any]]:
        with self.connection.cursor() as cursor:
            cursor.execute(sql.format(f"{self.place(target)}.scored"))
            names = [column.name.lower() for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


@pytest.fixture(scope="module", params=["bigquery", "snowflake"])
def warehouse(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Warehouse]:
    folder = tmp_path_factory.mktemp(request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WAREHOUSE_PASSWORD", PASSWORD)
        if request.param == "bigquery":
            with bigquery(folder) as emulator:
                yield OnBigQuery(emulator)
        else:
            with snowflake(folder) as port:
                yield OnSnowflake(port)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_sink_keeps_each_promise(check: Any, warehouse: Warehouse) -> None:
    check(SINKS.ref(warehouse.kind).target, warehouse.target(), warehouse.rows)


def write(warehouse: Warehouse, target: Target, key: str, first: int, last: int, **more: Any) -> Any:
    """A sink of a job that has batches; it is not finished."""
    sink = SINKS.load(warehouse.kind)(target, job(key, **more))
    sink.open()
    for number in range(first, last):
        sink.write(batch(number), progress(number + 1))
    return sink


def progress(batches: int) -> Progress:
    return Progress(batches, 4 * batches, 0, 4 * batches)


def test_two_that_write_one_job_are_told_apart(warehouse: Warehouse) -> None:
    target = warehouse.target()
    first, second = (write(warehouse, target, "a", 0, 0) for _ in range(2))
    first.write(batch(0), progress(1))
    with pytest.raises(EnvironmentFault, match="another `bessemer predict` writes this job"):
        second.write(batch(0), progress(1))
    second.close()
    first.write(batch(1), progress(2))
    first.finish()
    first.close()
    assert [row["id"] for row in warehouse.rows(target)] == list(range(8))


def test_rows_of_others_are_left_alone_and_a_restart_is_refused(warehouse: Warehouse) -> None:
    target = warehouse.target()
    for key in ("a", "b"):
        sink = write(warehouse, target, key, 0, 2)
        sink.finish()
        sink.close()
    assert [row["id"] for row in warehouse.rows(target)] == sorted([*range(8), *range(8)])
    with pytest.raises(UsageError, match="has rows of this job"):
        write(warehouse, target, "a", 0, 0, restart=True)


#: Requests of a batch that only bring rows, which is as safe at each of them.
FIRST = {"bigquery": 0, "snowflake": 4}


@pytest.mark.parametrize("answered", [False, True], ids=["before it is heard", "after it was done"])
def test_a_call_that_dies_at_any_request_is_gone_on_with(warehouse: Warehouse, answered: bool) -> None:
    """From one request on the server hears nothing more, or does it and nobody hears of it: what a kill leaves."""
    died = 0
    with in_front_of(warehouse.port) as site:
        # how many there are depends on how often the client asks whether a query is done: until one is not disturbed
        for number in itertools.count(FIRST[warehouse.kind]):
            target = warehouse.target(site.port)
            sink = write(warehouse, target, "a", 0, 1)
            site.fault, begin = dying(site, number, answered), len(site.requests)
            try:
                sink.write(batch(1), progress(2))
            except (StoreError, EnvironmentFault):
                died += 1
            disturbed = len(site.requests) - begin > number
            site.fault = lambda request: None
            again = SINKS.load(warehouse.kind)(target, job("a"))
            known = again.open()
            assert known in (progress(1), progress(2))
            for each in range(known.batches, 3):
                again.write(batch(each), progress(each + 1))
            again.finish()
            again.close()
            assert [row["id"] for row in warehouse.rows(target)] == list(range(12)), number
            if not disturbed:
                break
    assert died > 2


def dying(site: Site, number: int, answered: bool) -> Any:
    begin = len(site.requests)

    def fault(request: Request) -> Fault | None:
        at = len(site.requests) - begin - 1
        if at < number:
            return None
        return Fault(cut=0) if answered and at == number else Fault(status=404, body=b"{}")

    return fault


def test_killed_on_the_way(warehouse: Warehouse, package: Path, make_rows: Any, tmp_path: Path) -> None:
    pq.write_table(make_rows(1500), tmp_path / "in.parquet")
    target = warehouse.target()
    script = (
        "import sys; from bessemer.api import predict\n"
        "predict(*sys.argv[1:4], table='scored', keep=['id'], batch_rows=300, checkpoint=0.0,"
        " told=lambda n, before: print(n, flush=True))"
    )
    arguments = [sys.executable, "-c", script, str(package), str(tmp_path / "in.parquet"), target.where]
    for _ in range(2):
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(2):
                process.stdout.readline()
            process.send_signal(signal.SIGKILL)
    done = subprocess.run(arguments, check=True, capture_output=True, text=True)
    assert int(done.stdout.splitlines()[0]) >= 600, "what was there is not scored again"
    assert [row["id"] for row in warehouse.rows(target)] == [f"{i:05d}" for i in range(1500)]


def test_values_come_as_what_they_are(warehouse: Warehouse) -> None:
    target, day = warehouse.target(), dt.date(2024, 2, 29)
    moment = dt.datetime(2024, 2, 29, 12, 30, 0, 123456)
    columns = {
        "id": pa.array([1, 2], pa.uint64()), "flag": pa.array([True, None]), "day": pa.array([day, None]),
        "moment": pa.array([moment, None], pa.timestamp("ns")), "price": pa.array([Decimal("1.25"), None]),
        "nested": pa.array([{"a": [1, None]}, None]), "ratio": pa.array([0.1, None], pa.float32()),
    }  # fmt: skip
    table = pa.table(columns)
    sink = SINKS.load(warehouse.kind)(target, replace(job(), schema=table.schema))
    sink.open()
    sink.write(table, Progress(1, 2, 0, 2))
    sink.finish()
    first, second = warehouse.rows(target)
    assert (int(first["id"]), first["flag"], first["day"], first["moment"]) == (1, True, day, moment)
    assert (first["price"], json.loads(first["nested"])) == (Decimal("1.25"), {"a": [1, None]})
    assert first["ratio"] == pytest.approx(0.1)
    assert set(second.values()) == {2, None}


def test_a_table_that_is_there_takes_rows_in_its_own_types(warehouse: Warehouse) -> None:
    text, number, real = (
        ("STRING", "NUMERIC", "FLOAT64")
        if warehouse.kind == "bigquery"
        else ("VARCHAR", "NUMBER(9, 3)", "FLOAT")
    )
    target = warehouse.target()
    listed = f"(probability {number}, extra {text}, Prediction {text}, id {real})"
    warehouse.rows(target, f"CREATE TABLE {{}} {listed}")
    write(warehouse, target, "a", 0, 1).finish()
    found = warehouse.rows(target)
    assert [float(row["probability"]) for row in found] == [0.0, 0.125, 0.25, 0.375]
    assert [row["id"] for row in found] == [0.0, 1.0, 2.0, 3.0]
    bare = warehouse.target()
    warehouse.rows(bare, f"CREATE TABLE {{}} (id {real}, prediction {text})")
    with pytest.raises(UsageError, match="no column 'probability'"):
        write(warehouse, bare, "b", 0, 0)


@pytest.mark.parametrize("warehouse", ["bigquery"], indirect=True)  # Snowflake waits by itself
def test_notes_of_others_that_come_between_are_waited_out(warehouse: Warehouse) -> None:
    """BigQuery ends a transaction where another one has changed the same table meanwhile: it is begun again."""
    said = {
        "error": {"code": 400, "message": "Transaction is aborted due to concurrent update against table n"}
    }
    with in_front_of(warehouse.port) as site:
        target = warehouse.target(site.port)
        sink = write(warehouse, target, "a", 0, 1)
        left = [None] * 6

        def fault(request: Request) -> Fault | None:
            if left and b"BEGIN TRANSACTION" in request.body:
                left.pop()
                return Fault(400, {"Content-Type": "application/json"}, json.dumps(said).encode())
            return None

        site.fault = fault
        sink.write(batch(1), progress(2))
        sink.finish()
        assert not left
    assert [row["id"] for row in warehouse.rows(target)] == list(range(8))


def test_two_notes_of_a_job_are_told_of(warehouse: Warehouse) -> None:
    target = warehouse.target()
    write(warehouse, target, "a", 0, 1).close()
    notes = f"{warehouse.place(target)}.bessemer_jobs"
    warehouse.rows(target, f"INSERT INTO {notes} SELECT * FROM {notes}")
    with pytest.raises(StoreError, match="2 notes of the job 'aa") as caught:
        write(warehouse, target, "a", 0, 0)
    assert "bessemer_jobs" in str(caught.value).lower()
    assert "most batches" in caught.value.fix


def test_what_cannot_be_written_is_said(warehouse: Warehouse) -> None:
    place = "none_such"
    if warehouse.kind == "bigquery":  # the other emulator makes what is not there
        with pytest.raises(StoreError, match="no dataset"):
            SINKS.load(warehouse.kind)(warehouse.within(place, warehouse.port), job()).open()
    with pytest.raises((StoreError, EnvironmentFault)) as caught:
        SINKS.load(warehouse.kind)(warehouse.within(place, 9, "8s"), job()).open()
    assert PASSWORD not in str(caught.value)
    for options in ({"tabel": "x"}, {}):
        where = warehouse.target().where
        with pytest.raises(UsageError) as refused:
            SINKS.load(warehouse.kind)(Target(warehouse.kind, where, options=options), job())
        assert refused.value.fix


def test_a_password_is_never_written_into_an_address() -> None:
    target = target_of("snowflake://me:letmein@shop/SHOP/PUBLIC", table="scored")
    with pytest.raises(UsageError, match="address cannot be used") as caught:
        SINKS.load("snowflake")(target, job())
    assert "letmein" not in str(caught.value)
