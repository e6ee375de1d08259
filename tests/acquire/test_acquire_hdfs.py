"""Files of HDFS: WebHDFS over the wire to a real name node and data node."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from elsewhere_support import ParquetElsewhere, Reader, parquet

from bessemer.core.errors import DataError
from bessemer.core.filesystem import open_url, write_whole
from bessemer.testing.sources import CHECKS, Check
from systems.hdfs import Hdfs, hdfs

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hdfs]:
    with hdfs(tmp_path_factory.mktemp("hdfs")) as found:
        yield found


class ParquetOnHdfs(ParquetElsewhere):
    def __init__(self, cluster: Hdfs, folder: str) -> None:
        self._cluster = cluster
        base = f"hdfs://{cluster.address}/{folder}"
        fs, inside = open_url(base)
        super().__init__(
            base, lambda path, content: write_whole(fs, f"{inside}/{path}", content), self._without_data
        )

    @contextmanager
    def _without_data(self) -> Iterator[None]:
        self._cluster.data.kill()
        yield
        self._cluster.data.start()
        self._cluster.wait_for_data()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_parquet_on_hdfs(check: Check, cluster: Hdfs, tmp_path: Path) -> None:
    check(ParquetOnHdfs(cluster, check.__name__), tmp_path)


def test_only_what_changed_is_read(cluster: Hdfs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = ParquetOnHdfs(cluster, "many")
    for i in range(5):
        place.write(f"day={i}/rows with #1 & ü.parquet", parquet(pa.table({"id": [i], "n": [i / 2]})))
    reader, source = Reader(tmp_path), {"parquet": f"{place.base}/"}
    assert [row["day"] for row in reader.rows(source)] == [0, 1, 2, 3, 4]
    before = reader.fingerprint(source)
    assert reader.fingerprint(source) == before, "reading a file changes its access time, and nothing else"

    from bessemer.core.hdfs import Hdfs as Client

    read, opened = [], Client.cat_file

    def noted(self: Client, path: str, *arguments: Any, **options: Any) -> bytes:
        read.append(path)
        return opened(self, path, *arguments, **options)

    monkeypatch.setattr(Client, "cat_file", noted)
    reader.rows(source)
    assert read == []
    place.write("day=3/rows with #1 & ü.parquet", parquet(pa.table({"id": [3], "n": [9.0]})))
    assert [row["n"] for row in reader.rows(source)] == [0.0, 0.5, 1.0, 9.0, 2.0]
    assert read == ["/many/day=3/rows with #1 & ü.parquet"]
    assert reader.fingerprint(source) != before


def test_globs_big_files_and_users(cluster: Hdfs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = ParquetOnHdfs(cluster, "some")
    lines = b"".join(b"%09d,%s\n" % (i, b"x" * 990) for i in range(20_000))
    place.write("a/big.csv", b"id,text\n" + lines)
    place.write("a/b/small.csv", b"id,text\n1,y\n")
    reader = Reader(tmp_path)
    assert len(reader.rows({"csv": f"{place.base}/a/*.csv"})) == 20_000
    assert len(reader.rows({"csv": f"{place.base}/**/s*.csv"})) == 1
    assert len(reader.rows({"csv": f"webhdfs://{cluster.address}/some/a/b/small.csv"})) == 1

    fs, _ = open_url(place.base)
    fs.chmod("/some/a", "700")
    for source in (f"hdfs://eve@{cluster.address}/some/a/big.csv", f"hdfs://eve@{cluster.address}/some/a/b/"):
        with pytest.raises(DataError, match="Permission denied: user=eve"):
            reader.rows({"csv": source}, work="eve")
    monkeypatch.setenv("HADOOP_USER_NAME", "mallory")
    with pytest.raises(DataError, match="user=mallory"):
        reader.rows({"csv": f"{place.base}/a/big.csv"}, work="mallory")
    monkeypatch.setenv("HADOOP_USER_NAME", getpass.getuser())
    assert len(reader.rows({"csv": f"{place.base}/a/*.csv"}, work="me")) == 20_000


def test_an_address_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="which name node"):
        Reader(tmp_path).rows({"csv": "hdfs:///a.csv"})
