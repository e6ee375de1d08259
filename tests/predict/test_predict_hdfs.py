"""Predictions into a real HDFS, over WebHDFS."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from killed_support import check_killed_on_the_way, parts

from bessemer.core.errors import StoreError
from bessemer.core.filesystem import open_url
from bessemer.predict.job import predict
from bessemer.predict.plugins import SINKS
from bessemer.predict.protocol import Target
from bessemer.testing.sinks import CHECKS
from systems.hdfs import Hdfs, hdfs

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hdfs]:
    with hdfs(tmp_path_factory.mktemp("hdfs")) as found:
        yield found


def read(target: Target) -> list[dict[str, Any]]:
    fs, inside = open_url(target.where)
    if target.folder:
        return list(parts(fs, inside).to_pylist())
    return list(pq.read_table(io.BytesIO(fs.cat_file(inside))).to_pylist())


@pytest.mark.parametrize("folder", [True, False])
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_sinks_keep_each_promise(check: Any, folder: bool, cluster: Hdfs) -> None:
    options = {"ending": ".parquet", "part_rows": 4}
    where = f"hdfs://{cluster.address}/{check.__name__}/{'out' if folder else 'out.parquet'}"
    check(SINKS.ref("parquet").target, Target("parquet", where, folder, options), read)
    fs, inside = open_url(where)
    assert not [name for name in fs.find(inside.rpartition("/")[0]) if "/." in name]


def test_killed_on_the_way(cluster: Hdfs, model: Any, package: Path, make_rows: Any) -> None:
    base = f"hdfs://{cluster.address}/killed"
    fs, folder = open_url(base)

    def write(path: str, content: bytes) -> None:
        fs.makedirs(f"{folder}/{path}".rpartition("/")[0], exist_ok=True)
        fs.pipe_file(f"{folder}/{path}", content)

    check_killed_on_the_way(base, write, fs, folder, model, package, make_rows(4000))


def test_what_may_not_be_written_is_told(cluster: Hdfs, model: Any, make_rows: Any, tmp_path: Path) -> None:
    fs, _ = open_url(f"hdfs://{cluster.address}/")
    fs.mkdir("/mine")
    fs.chmod("/mine", "700")
    pq.write_table(make_rows(10), tmp_path / "in.parquet")
    with pytest.raises(StoreError, match="cannot be written") as caught:
        predict(
            model,
            tmp_path / "in.parquet",
            f"hdfs://eve@{cluster.address}/mine/out.parquet",
            work=tmp_path / "work",
        )
    assert "Permission denied: user=eve" in str(caught.value)
