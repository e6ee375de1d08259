"""Predictions into a collection of a MongoDB: each batch once, whatever is killed; its rows are told by their ids."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import bson
import pyarrow as pa
import pytest

from bessemer.core.errors import EnvironmentFault, StoreError, UsageError
from bessemer.predict.plugins import SINKS
from bessemer.predict.protocol import Progress, Target
from bessemer.predict.target import target_of
from bessemer.testing.sinks import CHECKS, batch, job, nothing_is_kept_of_a_job_that_cannot_go_on
from systems.mongodb import PASSWORD, MongoDB, mongodb

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoDB]:
    with mongodb(tmp_path_factory.mktemp("mongodb")) as made:
        yield made


@pytest.fixture
def database(server: MongoDB, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("MONGO_PASSWORD", PASSWORD)
    with server.client() as client:
        client.drop_database("scores")
        yield client.scores


def target(server: MongoDB) -> Target:
    return Target("mongodb", server.url("scores", "${MONGO_PASSWORD}"), options={"collection": "scored"})


@pytest.mark.parametrize(
    "check",
    [check for check in CHECKS if check is not nothing_is_kept_of_a_job_that_cannot_go_on],
    ids=lambda check: check.__name__,
)
def test_the_sink_keeps_each_promise(check: Any, server: MongoDB, database: Any) -> None:
    check(
        SINKS.ref("mongodb").target, target(server), lambda _: list(database.scored.find(sort=[("_id", 1)]))
    )


def test_a_source_that_cannot_be_gone_on_with_needs_a_snapshot(server: MongoDB, database: Any) -> None:
    with pytest.raises(UsageError, match="exactly once") as caught:
        SINKS.load("mongodb")(target(server), job(resumable=False))
    assert "--snapshot" in str(caught.value)
    assert PASSWORD not in str(caught.value)


def write(server: MongoDB, key: str, first: int, last: int, **more: Any) -> Any:
    sink = SINKS.load("mongodb")(target(server), job(key, **more))
    sink.open()
    for number in range(first, last):
        sink.write(batch(number), Progress(number + 1, 4 * (number + 1), 0, 4 * (number + 1)))
    return sink


def test_rows_of_others_are_never_touched(server: MongoDB, database: Any) -> None:
    database.scored.insert_one({"_id": "mine", "id": -1})
    for key in ("a", "b"):
        sink = write(server, key, 0, 2)
        sink.finish()
        sink.close()
    again = write(server, "a", 0, 1, restart=True)
    again.finish()
    again.close()
    assert database.scored.count_documents({}) == 1 + 4 + 8
    assert database.scored.find_one({"_id": "mine"}) == {"_id": "mine", "id": -1}
    known = {found["_id"][0]: found for found in database.bessemer_jobs.find()}
    assert (known["a"]["rows"], known["b"]["rows"]) == (4, 8)


def test_rows_that_a_kill_left_beyond_the_note_are_written_over(server: MongoDB, database: Any) -> None:
    write(server, "a", 0, 2).close()
    database.bessemer_jobs.update_one({}, {"$set": {"batches": 1, "rows": 4, "row": 4}})
    sink = write(server, "a", 1, 3)
    sink.finish()
    assert [row["id"] for row in database.scored.find(sort=[("_id", 1)])] == list(range(12))


def test_two_that_write_one_job_are_told_apart(server: MongoDB, database: Any) -> None:
    first, second = write(server, "a", 0, 0), write(server, "a", 0, 0)
    first.write(batch(0), Progress(1, 4, 0, 4))
    first.write(batch(1), Progress(2, 8, 0, 8))
    with pytest.raises(EnvironmentFault, match="another `bessemer predict` writes this job"):
        second.write(batch(0), Progress(1, 4, 0, 4))


def test_values_that_bson_has_no_type_for(server: MongoDB, database: Any) -> None:
    schema = pa.schema([("day", pa.date32()), ("price", pa.decimal128(9, 2)), ("clock", pa.time64("us"))])
    sink = SINKS.load("mongodb")(target(server), replace(job(), schema=schema))
    sink.open()
    row = {"day": [dt.date(2024, 2, 29)], "price": [Decimal("1.25")], "clock": [dt.time(1, 2, 3)]}
    sink.write(pa.table(row, schema), Progress(1, 1, 0, 1))
    sink.finish()
    found = database.scored.find_one({}, {"_id": 0})
    day = dt.datetime(2024, 2, 29, tzinfo=dt.UTC)
    assert found == {"day": day, "price": bson.Decimal128("1.25"), "clock": "01:02:03"}


def test_numbers_that_bson_has_no_room_for(server: MongoDB, database: Any) -> None:
    wide = pa.decimal128(38, 2)
    schema = pa.schema(
        [
            ("n", pa.uint64()),
            ("price", wide),
            ("all", pa.list_(pa.uint64())),
            ("in", pa.struct([("p", wide)])),
        ]
    )
    sink = SINKS.load("mongodb")(target(server), replace(job(), schema=schema))
    sink.open()
    long = Decimal("123456789012345678901234567890123456.78")
    row = {"n": [2**64 - 1], "price": [long], "all": [[7, 2**63]], "in": [{"p": Decimal("1.25")}]}
    sink.write(pa.table(row, schema), Progress(1, 1, 0, 1))
    sink.finish()
    assert database.scored.find_one({}, {"_id": 0}) == {
        "n": bson.Decimal128(str(2**64 - 1)),
        "price": str(long),
        "all": [7, bson.Decimal128(str(2**63))],
        "in": {"p": bson.Decimal128("1.25")},
    }


def test_a_refusal_of_documents_does_not_show_them(server: MongoDB, database: Any) -> None:
    database.create_collection("scored", validator={"id": {"$lt": 1}})
    with pytest.raises(StoreError, match="cannot be written") as caught:
        write(server, "a", 0, 1)
    assert caught.value.why.startswith("3 documents were refused, the first with code 121: ")
    assert caught.value.why.endswith("Document failed validation")
    assert "probability" not in str(caught.value)
    assert "unique indexes" in caught.value.fix


def test_the_id_of_a_row_is_not_that_of_another_collection(server: MongoDB) -> None:
    schema = pa.schema([("_id", pa.string()), ("prediction", pa.string())])
    with pytest.raises(UsageError, match="'_id' cannot be kept") as caught:
        SINKS.load("mongodb")(target(server), replace(job(), schema=schema))
    assert "--keep" in caught.value.fix


def test_what_cannot_be_reached_or_means_nothing(server: MongoDB, database: Any) -> None:
    assert target_of("mongodb://host/db", table="scored") == Target(
        "mongodb", "mongodb://host/db", options={"table": "scored"}
    )
    assert target_of("{mongodb: 'mongodb://host/db', collection: scored}").options == {"collection": "scored"}
    for given, said in (
        ({}, "no collection is named"),
        ({"collection": "x", "part_rows": 7}, "no option 'part_rows'"),
    ):
        with pytest.raises(UsageError, match=said):
            SINKS.load("mongodb")(Target("mongodb", "mongodb://host/db", options=given), job())
    wrong = Target("mongodb", server.url("scores", "a-wrong-one"), options={"collection": "scored"})
    with pytest.raises(StoreError, match="cannot be written") as caught:
        SINKS.load("mongodb")(wrong, job()).open()
    assert "check the user, the password" in str(caught.value)
    assert "a-wrong-one" not in str(caught.value)
