"""Objects of S3, spoken to by s3fs, answered by moto's server in a process and an environment of its own."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import s3fs

from bessemer.core.errors import StoreError
from bessemer.predict.job import predict
from bessemer.predict.plugins import SINKS
from bessemer.predict.protocol import Target
from bessemer.testing.sinks import CHECKS
from environments import environment

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    python = environment("moto", "moto[server]==5.2.2")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(python.with_name("moto_server")), "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture
def bucket(
    server: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[s3fs.S3FileSystem]:
    """A file system with an empty bucket `lake`, which other processes reach through the environment too."""
    words = {
        "ENDPOINT_URL": server,
        "ACCESS_KEY_ID": "me",
        "SECRET_ACCESS_KEY": "none",
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
    bucket: Any, model: Any, package: Path, make_rows: Any, tmp_path: Path
) -> None:
    table = make_rows(4000)
    for part in range(4):
        pq.write_table(table.slice(part * 1000, 1000), tmp_path / "part.parquet", row_group_size=300)
        bucket.put_file(str(tmp_path / "part.parquet"), f"lake/in/day={part}/rows.parquet")
    settings = (
        "keep=['id'], batch_rows=100, part_rows=500, told=lambda n, before: print(n, before, flush=True)"
    )
    script = f"import sys; from bessemer.api import predict; predict(*sys.argv[1:4], {settings})"
    arguments = [sys.executable, "-c", script, str(package), "s3://lake/in/", "s3://lake/out/"]
    for _ in range(3):
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(8):
                process.stdout.readline()
            process.send_signal(signal.SIGKILL)
    whole = subprocess.run(arguments, check=True, capture_output=True, text=True).stdout.splitlines()
    assert whole[0].endswith("True"), "the last call takes over what stands in the bucket"
    out = pa.Table.from_pylist(read(Target("parquet", "s3://lake/out", True)))
    assert out["id"].to_pylist() == table["id"].to_pylist()
    assert out["prediction"].to_pylist() == model.predict(table)["prediction"].to_pylist()


def test_a_bucket_that_is_not_there_is_told(bucket: Any, model: Any, make_rows: Any, tmp_path: Path) -> None:
    pq.write_table(make_rows(10), tmp_path / "in.parquet")
    with pytest.raises(StoreError, match="cannot be written"):
        predict(model, tmp_path / "in.parquet", "s3://sea/out.parquet", work=tmp_path / "work")
