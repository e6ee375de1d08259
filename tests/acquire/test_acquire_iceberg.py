"""Iceberg tables keep what every source must do; catalogs, folders, snapshots, moments, deletes, what is new."""

from __future__ import annotations

import datetime as dt
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError
from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat, ManifestContent, ManifestWriterV2
from pyiceberg.table import Table
from pyiceberg.transforms import IdentityTransform
from pyiceberg.typedef import Record

from bessemer.acquire.sources.iceberg import Iceberg, IcebergSource
from bessemer.acquire.spec import AcquireSpec
from bessemer.acquire.stage import fingerprint
from bessemer.core.errors import DataError
from bessemer.core.stage import Context
from bessemer.core.store import Store
from bessemer.testing.sources import CHECKS, SECRET, Check, Options, read

pytestmark = pytest.mark.slow


@pytest.fixture
def catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Catalog:
    """A catalog in SQLite that the environment names `lake`, with the namespace `shop`."""
    settings = {
        "type": "sql",
        "uri": f"sqlite:///{tmp_path}/catalog.db",
        "warehouse": f"file://{tmp_path}/lake",
    }
    for key, value in settings.items():
        monkeypatch.setenv(f"PYICEBERG_CATALOG__LAKE__{key.upper()}", value)
    (tmp_path / "lake").mkdir()
    made = load_catalog("lake", **settings)
    made.create_namespace("shop")
    return made


class IcebergTables:
    """Tables of a catalog."""

    lacks = frozenset({"credentials", "interruption"})

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog

    def put(self, name: str, table: pa.Table) -> Options:
        table = utc(table)
        self.catalog.create_table(f"shop.{name}", schema=table.schema).append(table)
        return {"iceberg": f"shop.{name}", "catalog": "lake"}

    def add(self, name: str, table: pa.Table) -> None:
        there = self.catalog.load_table(f"shop.{name}")
        with there.update_schema() as change:
            change.union_by_name(table.schema)
        there.append(table)

    def missing(self, name: str) -> Options:
        return {"iceberg": f"shop.{name}", "catalog": "lake"}

    def refused(self, name: str) -> Options:
        raise NotImplementedError

    def interrupted(self) -> AbstractContextManager[None]:
        return nullcontext()


def utc(table: pa.Table) -> pa.Table:
    """Iceberg keeps moments, not the zones that they were written in."""
    zoned = [f.name for f in table.schema if pa.types.is_timestamp(f.type) and f.type.tz]
    types = [pa.timestamp("us", "UTC") if f.name in zoned else f.type for f in table.schema]
    return table.cast(pa.schema(list(zip(table.column_names, types, strict=True))))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_iceberg_tables(check: Check, catalog: Catalog, tmp_path: Path) -> None:
    check(IcebergTables(catalog), tmp_path / "here")


@pytest.fixture
def orders(catalog: Catalog, tmp_path: Path) -> Path:
    """Three snapshots: rows, more rows with another column, and one row less."""
    system = IcebergTables(catalog)
    system.put("orders", pa.table({"id": [1, 2, 3], "n": [10, 20, 30]}))
    time.sleep(0.02)
    system.add("orders", pa.table({"id": [4], "n": [40], "new": ["x"]}))
    time.sleep(0.02)
    catalog.load_table("shop.orders").delete("id = 2")
    return tmp_path


NAMED = {"iceberg": "shop.orders", "catalog": "lake"}


def test_snapshots_and_moments(orders: Path, catalog: Catalog) -> None:
    snapshots = catalog.load_table("shop.orders").snapshots()
    assert sorted(read(NAMED, orders)["id"].to_pylist()) == [1, 3, 4]
    first, second = snapshots[:2]
    assert read({**NAMED, "snapshot": first.snapshot_id}, orders).to_pydict() == {
        "id": [1, 2, 3],
        "n": [10, 20, 30],
    }
    moment = dt.datetime.fromtimestamp((second.timestamp_ms + 2) / 1000, dt.UTC).isoformat()
    assert read({**NAMED, "as_of": moment}, orders)["id"].to_pylist() == [1, 2, 3, 4]
    for options in ({"snapshot": 7}, {"as_of": "2001-01-01"}):
        with pytest.raises(DataError, match="has no snapshot") as caught:
            read({**NAMED, **options}, orders)
        assert str(first.snapshot_id) in str(caught.value)
    for bad in ({"snapshot": 1, "as_of": "2024-01-01"}, {"as_of": "yesterday"}):
        with pytest.raises(ValidationError):
            IcebergSource(iceberg="x", **bad)


def test_a_folder_and_a_metadata_file_are_read_without_a_catalog(orders: Path, catalog: Catalog) -> None:
    location = catalog.load_table("shop.orders").metadata_location.removeprefix("file://")
    folder = str(Path(location).parents[1].relative_to(orders))
    first = sorted((orders / folder / "metadata").glob("*.metadata.json"))[1]
    assert read({"iceberg": folder}, orders)["id"].to_pylist() == [1, 3, 4]
    assert read({"iceberg": str(first.relative_to(orders))}, orders).num_rows == 3
    (orders / folder / "metadata" / "version-hint.text").write_text(first.name)
    assert read({"iceberg": folder}, orders).num_rows == 3
    for where, said in (
        (folder[:-1], "orders"),
        ("lake", "metadata"),
        (f"{folder}/metadata/x.metadata.json", "no file"),
    ):
        with pytest.raises(DataError) as caught:
            read({"iceberg": where}, orders)
        assert said in str(caught.value)


def test_names_that_are_wrong(orders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for options, said in (
        ({"iceberg": "shop.odrers"}, "shop.orders"),
        ({"iceberg": "shpo.orders"}, "shop.orders"),
        ({"catalog": "laek"}, "lake"),
        ({"columns": ["id", "m"]}, "no column 'm'"),
    ):
        with pytest.raises(DataError) as caught:
            read({**NAMED, **options}, orders)
        assert said in str(caught.value)


def test_a_credential_of_the_catalog_is_in_no_error(orders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYICEBERG_CATALOG__FAR__URI", "http://127.0.0.1:9/")
    monkeypatch.setenv("PYICEBERG_CATALOG__FAR__TYPE", "rest")
    monkeypatch.setenv("PYICEBERG_CATALOG__FAR__CREDENTIAL", f"me:{SECRET}")
    with pytest.raises(DataError, match=r"'far:shop\.orders' cannot be read") as caught:
        read({"iceberg": "shop.orders", "catalog": "far"}, orders)
    assert SECRET not in str(caught.value)


def test_the_fingerprint_is_the_snapshot(orders: Path, catalog: Catalog) -> None:
    def now(**options: Any) -> str:
        spec = AcquireSpec.model_validate({"sources": {"data": {**NAMED, **options}}})
        return fingerprint(spec, orders)["source data"]

    one, table = now(), catalog.load_table("shop.orders")
    old = now(snapshot=table.snapshots()[0].snapshot_id)
    assert now() == one != old
    table.append(pa.table({"id": [9], "n": [1], "new": ["y"]}))
    assert now() != one
    assert now(snapshot=table.snapshots()[0].snapshot_id) == old
    two = now()
    with table.update_schema() as change:
        change.rename_column("n", "number")
    assert now() != two, "a column has another name"


def test_a_column_that_was_renamed_keeps_its_values(orders: Path, catalog: Catalog) -> None:
    table = catalog.load_table("shop.orders")
    with table.update_schema() as change:
        change.rename_column("n", "number")
        change.delete_column("new")
    table.append(pa.table({"id": [9], "number": [90]}))
    assert read(NAMED, orders).to_pydict() == {"id": [1, 3, 4, 9], "number": [10, 30, 40, 90]}


def test_partitions(catalog: Catalog, tmp_path: Path) -> None:
    rows = pa.table(
        {
            "id": range(40),
            "place": ["ä /=", "b", None, "c"] * 10,
            "n": range(40),
        }
    )
    table = catalog.create_table("shop.parts", schema=rows.schema)
    with table.update_spec() as change:
        change.add_field("place", IdentityTransform())
    table.append(rows)
    found = read({"iceberg": "shop.parts", "catalog": "lake"}, tmp_path)
    assert found.select(rows.column_names).to_pydict() == rows.to_pydict()


def newer(folder: Path, cursor: str, after: Any) -> list[int]:
    options = IcebergSource.model_validate(
        {"iceberg": "shop.t", "catalog": "lake", "incremental": {"cursor": cursor}}
    )
    ctx = Context(Store(folder / "store"), "acquire", {}, 7, folder, folder)
    return sorted(i for batch in Iceberg("data", options).newer(after, ctx) for i in batch["id"].to_pylist())


def test_what_is_newer_by_each_type_of_cursor(catalog: Catalog, tmp_path: Path) -> None:
    start = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    moments = [start + dt.timedelta(days=i, microseconds=i) for i in range(5)]
    rows = {
        "id": range(5),
        "number": [i / 2 for i in range(5)],
        "word": ["a", "b", "it's", "x", None],
        "zoned": pa.array(moments, pa.timestamp("us", "UTC")),
        "plain": pa.array([m.replace(tzinfo=None) for m in moments], pa.timestamp("us")),
        "day": [m.date() for m in moments],
    }
    IcebergTables(catalog).put("t", pa.table(rows))
    for cursor, after in (
        ("id", 2),
        ("number", 1.0),
        ("zoned", moments[2]),
        ("plain", moments[2].replace(tzinfo=None)),
        ("day", moments[2].date()),
        ("day", moments[2]),
    ):
        assert newer(tmp_path, cursor, after) == [2, 3, 4], cursor
    assert newer(tmp_path, "word", "it's") == [2, 3]
    assert newer(tmp_path, "word", None) == [0, 1, 2, 3, 4]


def commit_deletes(table: Table, file: Path, rows: pa.Table, content: DataFileContent, **more: Any) -> None:
    """Commit a file of deletes as Spark and Flink do: pyiceberg itself only writes data files anew."""
    pq.write_table(rows, file)
    facts = {"file_format": FileFormat.PARQUET, "partition": Record(), "record_count": rows.num_rows}
    facts |= {"file_size_in_bytes": file.stat().st_size, "column_sizes": {}, "value_counts": {}, **more}
    facts |= {"null_value_counts": {}, "nan_value_counts": {}, "lower_bounds": {}, "upper_bounds": {}}
    deletes = DataFile.from_args(content=content, file_path=f"file://{file}", sort_order_id=None, **facts)
    deletes.spec_id = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ManifestWriterV2, "content", lambda self: ManifestContent.DELETES)
        with table.transaction() as transaction, transaction.update_snapshot().fast_append() as append:
            append.append_data_file(deletes)


def test_rows_that_a_delete_file_names_do_not_come(catalog: Catalog, tmp_path: Path) -> None:
    rows = pa.table({"id": range(10), "x": range(10)})
    table = catalog.create_table("shop.t", schema=rows.schema)
    table.append(rows)
    (task,) = table.scan().plan_files()
    kind = pa.schema(
        [
            pa.field("file_path", pa.string(), False, {"PARQUET:field_id": "2147483546"}),
            pa.field("pos", pa.int64(), False, {"PARQUET:field_id": "2147483545"}),
        ]
    )
    gone = pa.table({"file_path": [task.file.file_path] * 3, "pos": [0, 4, 9]}, kind)
    commit_deletes(table, tmp_path / "deletes.parquet", gone, DataFileContent.POSITION_DELETES)
    named = {"iceberg": "shop.t", "catalog": "lake"}
    assert read(named, tmp_path)["id"].to_pylist() == [1, 2, 3, 5, 6, 7, 8]
    first = table.snapshots()[0].snapshot_id
    assert read({**named, "snapshot": first}, tmp_path).num_rows == 10


def test_equality_deletes_are_refused(catalog: Catalog, tmp_path: Path) -> None:
    rows = pa.table({"id": range(10), "x": range(10)})
    table = catalog.create_table("shop.t", schema=rows.schema)
    table.append(rows)
    gone = pa.table({"id": [3]}, pa.schema([pa.field("id", pa.int64(), True, {"PARQUET:field_id": "1"})]))
    commit_deletes(table, tmp_path / "d.parquet", gone, DataFileContent.EQUALITY_DELETES, equality_ids=[1])
    with pytest.raises(DataError, match=r"'lake:shop\.t' cannot be read") as caught:
        read({"iceberg": "shop.t", "catalog": "lake"}, tmp_path)
    assert "equality deletes" in str(caught.value)
