"""Files of Google Cloud Storage: gcsfs over the wire to a server that speaks its API."""

from __future__ import annotations

import asyncio
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gcsfs
import pyarrow as pa
import pytest
from elsewhere_support import ParquetElsewhere, Reader, parquet

from bessemer.testing.sources import CHECKS, Check
from systems.fake_gcs import fake_gcs
from systems.faulty_http import Site, in_front_of

pytestmark = pytest.mark.slow


class Hurried:
    """asyncio for a client that tries again six times, and waits half a minute in all: it waits less."""

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / 50)


class Lake:
    """The bucket `lake`: written to directly, and read by the product through `front`."""

    def __init__(self, port: int, front: Site) -> None:
        self.front, self._url = front, f"http://127.0.0.1:{port}"
        self._post("/storage/v1/b?project=tests", b'{"name": "lake"}', "application/json")

    def write(self, path: str, content: bytes) -> None:
        name = urllib.parse.quote(path, safe="")
        self._post(f"/upload/storage/v1/b/lake/o?uploadType=media&name={name}", content)

    def _post(self, path: str, body: bytes, kind: str = "application/octet-stream") -> None:
        asked = urllib.request.Request(self._url + path, body, {"Content-Type": kind}, method="POST")
        urllib.request.urlopen(asked, timeout=300).close()

    def gets(self) -> list[str]:
        """The objects whose content was asked for, since the last call."""
        paths = [path for path in self.front.asked() if "alt=media" in path]
        self.front.requests.clear()
        return paths


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    with fake_gcs(tmp_path_factory.mktemp("gcs")) as port, in_front_of(port) as front:
        yield Lake(port, front)


@pytest.fixture(autouse=True)
def _environment(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", lake.front.url)
    monkeypatch.setenv(
        "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false"
    )  # else it asks a service that is not there
    monkeypatch.setattr("gcsfs.retry.asyncio", Hurried())
    gcsfs.GCSFileSystem.clear_instance_cache()
    lake.front.requests.clear()
    yield
    gcsfs.GCSFileSystem.clear_instance_cache()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_parquet_on_gcs(check: Check, lake: Lake, tmp_path: Path) -> None:
    prefix = check.__name__
    place = ParquetElsewhere(
        f"gs://lake/{prefix}",
        lambda path, content: lake.write(f"{prefix}/{path}", content),
        lambda: lake.front.cut(400, ending=".parquet"),
    )
    check(place, tmp_path)


def test_only_what_changed_is_read(lake: Lake, tmp_path: Path) -> None:
    for i in range(12):
        lake.write(f"many/{i:02d}.parquet", parquet(pa.table({"id": [i], "n": [i / 2]})))
    lake.write("many-more/rows.parquet", b"of another folder")
    reader, source = Reader(tmp_path), {"parquet": "gs://lake/many/"}
    assert len(reader.rows(source)) == 12
    assert len(lake.gets()) == 12
    before = reader.fingerprint(source)
    assert len(reader.rows(source)) == 12
    assert (lake.gets(), reader.fingerprint(source)) == ([], before)
    lake.write("many/03.parquet", parquet(pa.table({"id": [3], "n": [-1.0]})))
    assert reader.rows(source)[3]["n"] == -1.0
    assert len(lake.gets()) == 1
    assert reader.fingerprint(source) != before
