"""Objects of S3, spoken to by s3fs, answered by a real object store in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import s3fs
from killed_support import check_killed_on_the_way

from bessemer.core.errors import StoreError
from bessemer.predict.job import predict
from bessemer.predict.plugins import SINKS
from bessemer.predict.protocol import Target
from bessemer.testing.sinks import CHECKS
from systems.seaweedfs import KEY, PASSWORD, seaweedfs

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as endpoint:
        yield endpoint


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[s3fs.S3FileSystem]:
    """A file system with an empty bucket `lake`, which other processes reach through the environment too."""
    words = {
        "ENDPOINT_URL": server,
        "ACCESS_KEY_ID": KEY,
        "SECRET_ACCESS_KEY": PASSWORD,
        "DEFAULT_REGION": "us-east-1",
    }
    for name, value in words.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    s3fs.S3FileSystem.clear_instance_cache()
    fs = s3fs.S3FileSystem()
    if fs.exists("lake"):
        fs.rm("lake", recursive=True)
    fs.mkdir("lake")
    yield fs
    s3fs.S3FileSystem.clear_instance_cache()


def read(target: Target) -> list[dict[str, Any]]:
    fs = s3fs.S3FileSystem(skip_instance_cache=True)
    names = sorted(fs.glob(f"{target.where}/part-*")) if target.folder else [target.where]
    return pa.concat_tables(pq.read_table(fs.open(name)) for name in names).to_pylist()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("folder", [True, False])
def test_the_sinks_keep_each_promise(check: Any, folder: bool, bucket: Any) -> None:
    options = {"ending": ".parquet", "part_rows": 4}
    where = "s3://lake/out" if folder else "s3://lake/out.parquet"
    check(SINKS.ref("parquet").target, Target("parquet", where, folder, options), read)
    bucket.invalidate_cache()
    assert not [name for name in bucket.find("lake") if "/." in name]


def test_from_a_bucket_into_a_bucket_killed_on_the_way(
    bucket: Any, model: Any, package: Path, make_rows: Any
) -> None:
    def write(path: str, content: bytes) -> None:
        bucket.pipe_file(f"lake/{path}", content)

    check_killed_on_the_way("s3://lake", write, bucket, "lake", model, package, make_rows(4000))


def test_a_bucket_that_refuses_is_told(
    bucket: Any, model: Any, make_rows: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pq.write_table(make_rows(10), tmp_path / "in.parquet")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a wrong one")
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(StoreError, match="cannot be written"):
        predict(model, tmp_path / "in.parquet", "s3://lake/out.parquet", work=tmp_path / "work")
