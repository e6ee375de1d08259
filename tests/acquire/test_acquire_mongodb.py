"""Documents of a MongoDB keep what every source must do; types that widen, queries, one moment, what is new."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager
from decimal import Decimal
from pathlib import Path
from typing import Any

import bson
import pyarrow as pa
import pytest
from bson.datetime_ms import DatetimeMS
from pydantic import ValidationError

from bessemer.acquire.documents import Documents
from bessemer.acquire.sources.mongodb import Mongodb, MongodbSource
from bessemer.acquire.spec import AcquireSpec
from bessemer.acquire.stage import run
from bessemer.core.errors import DataError, ProjectError
from bessemer.core.stage import Context
from bessemer.core.store import Store
from bessemer.testing.sources import CHECKS, SECRET, Check, Options, read
from systems.cut import Wire, wire
from systems.mongodb import PASSWORD, MongoDB, mongodb

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MongoDB]:
    with mongodb(tmp_path_factory.mktemp("mongodb")) as made:
        yield made


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONGO_PASSWORD", PASSWORD)


class Collections:
    """Collections of a database. Times have milliseconds."""

    lacks = frozenset({"time", "zoned"})

    def __init__(self, server: MongoDB, database: str, through: Wire) -> None:
        self.server, self.database, self.wire = server, database, through
        self.client = server.client()

    def options(self, name: str, password: str = "${MONGO_PASSWORD}") -> Options:
        url = self.server.url(self.database, password, f"127.0.0.1:{self.wire.port}")
        return {"mongodb": f"{url}&directConnection=true", "collection": name, "batch": 500, "timeout": "60s"}

    def put(self, name: str, table: pa.Table) -> Options:
        self.client[self.database].drop_collection(name)
        self.client[self.database].create_collection(name)
        self.add(name, table)
        return self.options(name)

    def add(self, name: str, table: pa.Table) -> None:
        rows = [{key: _bson(v) for key, v in row.items() if v is not None} for row in table.to_pylist()]
        if rows:
            self.client[self.database][name].insert_many(rows)

    def missing(self, name: str) -> Options:
        return self.options(name)

    def refused(self, name: str) -> Options:
        return self.options(name, SECRET)

    def interrupted(self) -> AbstractContextManager[None]:
        return self.wire.cut(200_000)


def _bson(value: Any) -> Any:
    if isinstance(value, Decimal):
        return bson.Decimal128(value)
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return dt.datetime(value.year, value.month, value.day)
    return value


@pytest.fixture(scope="module")
def system(server: MongoDB) -> Iterator[Collections]:
    with wire(server.process.port) as made:
        yield Collections(server, "checks", made)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_collections(check: Check, system: Collections, tmp_path: Path) -> None:
    check(system, tmp_path)


@pytest.fixture
def shop(server: MongoDB) -> Iterator[Any]:
    """An empty database of its own."""
    client = server.client()
    client.drop_database("shop")
    yield client.shop
    client.drop_database("shop")
    client.close()


def options(server: MongoDB, collection: str | None = None, **more: Any) -> Options:
    named = {"collection": collection} if collection else {}
    return {"mongodb": server.url("shop", "${MONGO_PASSWORD}"), "timeout": "60s", **named, **more}


def test_every_type_of_bson(server: MongoDB, shop: Any, tmp_path: Path) -> None:
    moment = dt.datetime(2024, 7, 1, 12, 0, 0, 123_000, dt.UTC)
    id_ = bson.ObjectId("65a1b2c3d4e5f60718293a4b")
    values: dict[str, tuple[Any, Any]] = {
        "n": (bson.Int64(2**60), 2**60),
        "small": (5, 5),
        "half": (0.5, 0.5),
        "flag": (True, True),
        "text": ("ü\n", "ü\n"),
        "at": (moment, moment.replace(tzinfo=None)),
        "who": (uuid.UUID(int=5), str(uuid.UUID(int=5))),
        "ref": (id_, str(id_)),
        "price": (bson.Decimal128("1.25"), 1.25),
        "count": (bson.Decimal128("12"), 12),
        "nan": (bson.Decimal128("NaN"), None),
        "stamp": (bson.Timestamp(86_400, 1), dt.datetime(1970, 1, 2)),
        "pattern": (bson.Regex("^a"), "^a"),
        "code": (bson.Code("f()"), "f()"),
        "least": (bson.MinKey(), "MinKey"),
    }
    nested = {
        "a": [
            1,
            {
                "at": moment,
                "id": id_,
                "price": bson.Decimal128("1.5"),
                "b": b"\x01\xff",
                "who": uuid.UUID(int=5),
            },
        ]
    }
    shop.things.insert_one(
        {"_id": id_, **{k: v for k, (v, _) in values.items()}, "bytes": b"\0\1", "doc": nested}
    )
    (row,) = read(options(server, "things"), tmp_path).to_pylist()
    for name, (_, expected) in values.items():
        if name in row or expected is not None:
            assert row[name] == expected, name
    assert row["_id"] == str(id_)
    assert "bytes" not in row
    inner = {
        "at": moment.isoformat(),
        "id": str(id_),
        "price": 1.5,
        "b": "01ff",
        "who": str(uuid.UUID(int=5)),
    }
    assert json.loads(row["doc"]) == {"a": [1, inner]}


def test_a_time_that_python_has_no_year_for_is_missing() -> None:
    assert Documents().row({"far": DatetimeMS(2**60), "near": 1}) == {"far": None, "near": 1}


def test_bytes_are_left_out_and_told_of(server: MongoDB, shop: Any, tmp_path: Path) -> None:
    shop.t.insert_many([{"_id": 1, "photo": b"x"}, {"_id": 2, "photo": "none", "hash": b"y"}])
    told: list[str] = []
    ctx = context(tmp_path)
    ctx.emit = lambda kind, data: told.append(data["text"])
    (batch,) = source(server).newer(None, ctx)
    assert batch.to_pydict() == {"_id": [1, 2], "photo": [None, "none"]}
    assert told[0].endswith("/shop/t': photo, hash")


def test_columns_widen_over_the_whole_read(server: MongoDB, shop: Any, tmp_path: Path) -> None:
    """From whole numbers to numbers to text, over many batches; a field comes late, and one is never there."""
    rows: list[dict[str, Any]] = [
        {"_id": i, "x": i, "y": i, "f": True, "t": dt.datetime(2024, 1, 1)} for i in range(10)
    ]
    rows += [{"_id": 10 + i, "x": i + 0.5, "y": i / 2, "late": "z"} for i in range(10)]
    rows += [{"_id": 20 + i, "x": f"t{i}", "y": None, "f": 7, "t": "never"} for i in range(10)]
    shop.drift.insert_many(rows)
    for batch in (1, 10, 5000):
        found = read(options(server, "drift", batch=batch), tmp_path).to_pydict()
        assert found["x"] == [
            *map(str, range(10)),
            *(str(i + 0.5) for i in range(10)),
            *(f"t{i}" for i in range(10)),
        ]
        assert found["y"] == [*map(float, range(10)), *(i / 2 for i in range(10)), *[None] * 10]
        assert found["f"] == ["true"] * 10 + [None] * 10 + ["7"] * 10
        assert found["t"] == ["2024-01-01 00:00:00"] * 10 + [None] * 10 + ["never"] * 10
        assert found["late"] == [None] * 10 + ["z"] * 10 + [None] * 10


def test_names_that_differ_by_case_alone_are_an_error(server: MongoDB, shop: Any, tmp_path: Path) -> None:
    shop.a.insert_many([{"_id": 1, "Name": "x"}, {"_id": 2, "name": "y"}])
    for batch in (1, 100):
        with pytest.raises(DataError, match="'Name' and 'name'"):
            read(options(server, "a", batch=batch), tmp_path)


def test_query_fields_sort_and_pipeline(server: MongoDB, shop: Any, tmp_path: Path) -> None:
    id_ = bson.ObjectId()
    start = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    shop.o.insert_many(
        [
            {"n": i, "ref": id_ if i < 5 else None, "at": start + dt.timedelta(days=i), "in": {"k": i * 2}}
            for i in range(10)
        ]
    )

    def numbers(**more: Any) -> list[int]:
        return read(options(server, "o", **more), tmp_path)["n"].to_pylist()

    assert numbers(sort=["-n"]) == list(range(9, -1, -1))
    assert numbers(query={"n": {"$gte": 8}}) == [8, 9]
    assert numbers(query={"ref": {"$oid": str(id_)}, "n": {"$gt": 2}}) == [3, 4]
    assert numbers(query={"at": {"$lt": dt.date(2024, 1, 3)}}) == [0, 1]
    assert numbers(query={"at": {"$lt": dt.datetime(2024, 1, 3, 1)}}) == [0, 1, 2]
    found = read(options(server, "o", fields=["n", "in.k"]), tmp_path)
    assert found.column_names == ["n", "in"]
    grouped = [{"$group": {"_id": {"$gt": ["$n", 4]}, "sum": {"$sum": "$n"}}}, {"$sort": {"_id": 1}}]
    found = read(options(server, "o", pipeline=grouped), tmp_path)
    assert found.to_pydict() == {"_id": [False, True], "sum": [10, 35]}


def test_faults_of_the_project_file() -> None:
    url = "mongodb://host/db"
    for more, said in (
        ({"pipeline": [{"$match": {}}, {"$out": "elsewhere"}]}, "writes"),
        ({"pipeline": [{"$merge": "elsewhere"}]}, "writes"),
        ({"pipeline": [], "query": {"a": 1}}, "not both"),
        ({"batch": 0}, "greater than or equal to 1"),
        ({"mongodb": "http://host/db"}, "pattern"),
    ):
        with pytest.raises(ValidationError, match=said):
            MongodbSource.model_validate({"mongodb": url, **more})


def test_names_that_are_wrong(
    server: MongoDB, shop: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.orders.insert_one({"_id": 1, "n": 1})
    with pytest.raises(DataError, match="no collection 'odrers' in database 'shop'") as caught:
        read(options(server, "odrers"), tmp_path)
    assert "orders" in str(caught.value)
    with pytest.raises(DataError, match="no such database") as caught:
        read({**options(server, "orders"), "mongodb": server.url("shpo", "${MONGO_PASSWORD}")}, tmp_path)
    assert "shop" in str(caught.value)
    with pytest.raises(DataError, match="names no database"):
        read({**options(server, "orders"), "mongodb": server.url("", "${MONGO_PASSWORD}")}, tmp_path)
    assert read(options(server), tmp_path)["n"].to_pylist() == [1], "the only collection needs no name"
    shop.others.insert_one({"_id": 1})
    with pytest.raises(DataError, match="2 collections") as caught:
        read(options(server), tmp_path)
    assert "orders, others" in str(caught.value)
    monkeypatch.delenv("MONGO_PASSWORD")
    with pytest.raises(ProjectError, match="MONGO_PASSWORD is not set"):
        read(options(server, "orders"), tmp_path)


def test_who_is_not_let_in(server: MongoDB, shop: Any, tmp_path: Path) -> None:
    shop.orders.insert_one({"_id": 1, "n": 1})
    nobody = {**options(server, "orders"), "mongodb": f"mongodb://{server.address}/shop"}
    with pytest.raises(DataError, match="cannot be read") as caught:
        read(nobody, tmp_path)
    assert "log in" in str(caught.value)
    with pytest.raises(DataError, match="cannot be read") as caught:
        read({**options(server, "orders"), "mongodb": server.url("shop", SECRET)}, tmp_path)
    assert "check the user, the password" in str(caught.value)
    assert SECRET not in str(caught.value)
    away = {"mongodb": "mongodb://127.0.0.1:1/shop", "collection": "orders", "timeout": "500ms"}
    with pytest.raises(DataError, match="check the address"):
        read(away, tmp_path)


def test_a_query_that_the_server_refuses(server: MongoDB, shop: Any, tmp_path: Path) -> None:
    shop.orders.insert_one({"_id": 1, "n": 1})
    with pytest.raises(DataError, match="cannot be read") as caught:
        read(options(server, "orders", query={"n": {"$nosuch": 1}}), tmp_path)
    assert "$nosuch" in str(caught.value)


def source(server: MongoDB, **more: Any) -> Mongodb:
    return Mongodb("data", MongodbSource.model_validate(options(server, "t", **more)))


def context(folder: Path) -> Context:
    return Context(Store(folder / "store"), "acquire", {}, 7, folder, folder)


def test_what_is_written_meanwhile_does_not_come(server: MongoDB, shop: Any, tmp_path: Path) -> None:
    shop.t.insert_many([{"_id": i, "x": 0} for i in range(50)])
    batches = source(server, batch=10).newer(None, context(tmp_path))
    found = next(batches)["x"].to_pylist()
    shop.t.update_many({}, {"$set": {"x": 1}})
    shop.t.insert_one({"_id": 99, "x": 1})
    for batch in batches:
        found += batch["x"].to_pylist()
    assert found == [0] * 50


def test_what_is_newer(server: MongoDB, shop: Any, tmp_path: Path) -> None:
    start = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    ids = [bson.ObjectId() for _ in range(6)]
    rows = [{"_id": ids[i], "n": i, "at": start + dt.timedelta(days=i)} for i in range(5)]
    shop.t.insert_many([*rows, {"_id": ids[5], "n": 5}])

    def newer(cursor: str, after: Any, **more: Any) -> list[int]:
        batches = source(server, incremental={"cursor": cursor}, **more).newer(after, context(tmp_path))
        return [n for batch in batches for n in batch["n"].to_pylist()]

    assert newer("at", None) == [0, 1, 2, 3, 4, 5]
    assert newer("at", start + dt.timedelta(days=3)) == [3, 4]
    assert newer("at", (start + dt.timedelta(days=3)).replace(tzinfo=None)) == [3, 4]
    assert newer("_id", str(ids[3])) == [3, 4, 5]
    assert newer("n", 4, query={"n": {"$lt": 5}}) == [4]
    assert newer("n", 4, pipeline=[{"$match": {"n": {"$lt": 5}}}]) == [4]


def test_no_password_is_in_what_a_run_keeps(server: MongoDB, shop: Any, tmp_path: Path) -> None:
    shop.t.insert_many([{"_id": i, "n": i} for i in range(3)])
    spec = AcquireSpec.model_validate({"sources": {"data": options(server, "t")}})
    ref = run(spec, {}, ctx := context(tmp_path))["raw"]
    (record,) = ctx.open(ref).meta["sources"].values()
    assert record["uri"] == f"mongodb://me@{server.address}/shop/t"
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or PASSWORD.encode() not in file.read_bytes(), file
