"""Delta tables in a bucket keep what every source must do: credentials of the environment, a wire that is cut."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import deltalake
import pyarrow as pa
import pytest
import s3fs

from bessemer.predict.protocol import Target
from bessemer.predict.sinks.delta import Delta
from bessemer.testing.sinks import CHECKS as SINK_CHECKS
from bessemer.testing.sources import CHECKS, SECRET, Check, Options
from systems.cut import Wire, wire
from systems.seaweedfs import KEY, PASSWORD, seaweedfs

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    """A wire to a store that speaks S3."""
    with seaweedfs(tmp_path_factory.mktemp("s3")) as url, wire(int(url.rpartition(":")[2])) as made:
        yield made


@pytest.fixture
def folder(line: Wire, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """An empty folder of the bucket, which the environment leads to."""
    said = {
        "ENDPOINT_URL": f"http://127.0.0.1:{line.port}",
        "ACCESS_KEY_ID": KEY,
        "DEFAULT_REGION": "us-east-1",
    }
    for name, value in {**said, "SECRET_ACCESS_KEY": PASSWORD, "REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    store = s3fs.S3FileSystem(skip_instance_cache=True)
    if not store.exists("lake"):
        store.mkdir("lake")
    return f"s3://lake/{abs(hash(request.node.name))}"


class Buckets:
    lacks: frozenset[str] = frozenset()

    def __init__(self, folder: str, line: Wire, environment: pytest.MonkeyPatch) -> None:
        self.folder, self.wire, self.environment = folder, line, environment

    def put(self, name: str, table: pa.Table) -> Options:
        self._write(name, table)
        return {"delta": f"{self.folder}/{name}"}

    def _write(self, name: str, table: pa.Table) -> None:
        where, options = f"{self.folder}/{name}", {"allow_http": "true"}
        deltalake.write_deltalake(where, table, mode="append", schema_mode="merge", storage_options=options)

    def add(self, name: str, table: pa.Table) -> None:
        self._write(name, table)

    def missing(self, name: str) -> Options:
        return {"delta": f"{self.folder}/{name}"}

    def refused(self, name: str) -> Options:
        self.environment.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        return {"delta": f"{self.folder}/{name}"}

    def interrupted(self) -> AbstractContextManager[None]:
        return self.wire.cut(4_000)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_tables_in_a_bucket(
    check: Check, folder: str, line: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check(Buckets(folder, line, monkeypatch), tmp_path)


@pytest.mark.parametrize("check", SINK_CHECKS, ids=lambda check: check.__name__)
def test_predictions_into_a_bucket(check: object, folder: str) -> None:
    def rows(target: Target) -> list[dict[str, object]]:
        table = deltalake.DeltaTable(target.where, storage_options={"allow_http": "true"})
        found: list[dict[str, object]] = table.to_pyarrow_table().sort_by("id").to_pylist()
        return found

    assert callable(check)
    check(f"{Delta.__module__}:Delta", Target("delta", f"{folder}/scored"), rows)
