"""Iceberg tables in a bucket, of a catalog that is a server (Glue): read, and written by `bessemer predict`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa
import pytest
from pyiceberg.catalog import Catalog

from bessemer.acquire.sources.iceberg import catalog_named
from bessemer.core.errors import DataError
from bessemer.predict.protocol import Target
from bessemer.predict.sinks.iceberg import Iceberg
from bessemer.testing.sinks import a_killed_job_goes_on
from bessemer.testing.sources import read
from systems.moto import moto

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with moto(tmp_path_factory.mktemp("moto")) as url:
        yield url


@pytest.fixture
def catalog(server: str, monkeypatch: pytest.MonkeyPatch) -> Catalog:
    settings = {"AWS_ACCESS_KEY_ID": "me", "AWS_SECRET_ACCESS_KEY": "none", "AWS_DEFAULT_REGION": "us-east-1"}
    named = {"TYPE": "glue", "GLUE__ENDPOINT": server, "S3__ENDPOINT": server, "S3__REGION": "us-east-1"}
    settings |= {f"PYICEBERG_CATALOG__CLOUD__{name}": value for name, value in named.items()}
    settings["PYICEBERG_CATALOG__CLOUD__WAREHOUSE"] = "s3://lake"
    settings |= {"AWS_ENDPOINT_URL": server, "AWS_REGION": "us-east-1"}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    boto3.client("s3", endpoint_url=server).create_bucket(Bucket="lake")
    made = catalog_named("cloud")
    made.create_namespace_if_not_exists("shop")
    return made


def rows_of(target: Target) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (
        catalog_named("cloud").load_table(target.where).scan().to_arrow().to_pylist()
    )
    return sorted(found, key=lambda row: row["id"])


def test_a_table_is_read_by_its_catalog_and_by_its_folder(catalog: Catalog, tmp_path: Path) -> None:
    rows = pa.table({"id": range(100), "x": [i / 2 for i in range(100)]})
    table = catalog.create_table("shop.orders", schema=rows.schema)
    for start in (0, 60):
        table.append(rows.slice(start, 60))
    named = {"iceberg": "shop.orders", "catalog": "cloud"}
    assert read(named, tmp_path)["id"].to_pylist() == list(range(100))
    assert read({"iceberg": table.location()}, tmp_path)["id"].to_pylist() == list(range(100))
    with pytest.raises(DataError, match=r"no table 'shop\.odrers'") as caught:
        read({**named, "iceberg": "shop.odrers"}, tmp_path)
    assert "shop.orders" in str(caught.value)


def test_a_killed_job_goes_on_in_a_bucket(catalog: Catalog) -> None:
    target = Target("iceberg", "shop.scored", options={"catalog": "cloud"})
    a_killed_job_goes_on(f"{Iceberg.__module__}:Iceberg", target, rows_of)
