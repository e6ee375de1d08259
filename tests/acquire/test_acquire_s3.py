"""Files of S3 buckets: a real object store over the wire, and how little of it is asked for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa
import pytest
import s3fs
from elsewhere_support import ParquetElsewhere, Reader, parquet

from bessemer.core.errors import BessemerError, DataError
from bessemer.testing.sources import CHECKS, SECRET, Check, Options
from systems.faulty_http import Fault, Site, in_front_of
from systems.moto import moto
from systems.seaweedfs import KEY, PASSWORD, seaweedfs

pytestmark = pytest.mark.slow


class Lake:
    """The bucket `lake`: written to directly, and read by the product through `front`, which counts and fails."""

    def __init__(self, endpoint: str, front: Site) -> None:
        self.front = front
        self._client: Any = boto3.client(
            "s3",
            endpoint_url=endpoint,
            aws_access_key_id=KEY,
            aws_secret_access_key=PASSWORD,
            region_name="us-east-1",
        )
        self._client.create_bucket(Bucket="lake")

    def write(self, path: str, content: bytes) -> None:
        self._client.put_object(Bucket="lake", Key=path, Body=content)

    def remove(self, path: str) -> None:
        self._client.delete_object(Bucket="lake", Key=path)

    def gets(self) -> list[str]:
        """The objects whose content was asked for, since the last call."""
        paths = [p.partition("?")[0] for p in self.front.asked() if not p.startswith("/lake?")]
        self.front.requests.clear()
        return paths


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    with (
        seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as endpoint,
        in_front_of(int(endpoint.rpartition(":")[2])) as front,
    ):
        yield Lake(endpoint, front)


@pytest.fixture(autouse=True)
def _environment(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    words = {"ENDPOINT_URL": lake.front.url, "ACCESS_KEY_ID": KEY, "SECRET_ACCESS_KEY": PASSWORD}
    for name, value in {**words, "DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    s3fs.S3FileSystem.clear_instance_cache()
    lake.front.requests.clear()
    yield
    s3fs.S3FileSystem.clear_instance_cache()


class ParquetOnS3(ParquetElsewhere):
    lacks = frozenset()

    def __init__(self, lake: Lake, prefix: str) -> None:
        super().__init__(
            f"s3://lake/{prefix}",
            lambda path, content: lake.write(f"{prefix}/{path}", content),
            lambda: lake.front.cut(400, ending=".parquet"),
        )

    def refused(self, name: str) -> Options:
        os.environ["AWS_SECRET_ACCESS_KEY"] = SECRET  # the test's monkeypatch puts it back
        s3fs.S3FileSystem.clear_instance_cache()
        return {"parquet": f"{self.base}/{name}/"}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_parquet_on_s3(check: Check, lake: Lake, tmp_path: Path) -> None:
    check(ParquetOnS3(lake, check.__name__), tmp_path)


def test_of_a_hundred_objects_the_one_that_changed_is_read(lake: Lake, tmp_path: Path) -> None:
    for i in range(100):
        lake.write(f"many/day={i + 100}/rows.parquet", parquet(pa.table({"id": [i], "n": [i / 2]})))
    lake.write("many/_SUCCESS", b"")
    lake.write("many-more/rows.parquet", b"of another folder")
    lake.write("many/_temporary/0/rows.parquet", b"half of one")
    reader, source = Reader(tmp_path), {"parquet": "s3://lake/many/"}
    first = reader.rows(source)
    assert [row["id"] for row in first] == list(range(100))
    assert [row["day"] for row in first] == list(range(100, 200)), "the folders' names are a column"
    assert len(lake.gets()) == 100

    before = reader.fingerprint(source)
    assert reader.rows(source, work="again") == first
    assert lake.gets() == [], "nothing changed"
    lake.write("many/day=142/rows.parquet", parquet(pa.table({"id": [42], "n": [-1.0]})))
    assert reader.fingerprint(source) != before
    changed = reader.rows(source, work="changed")
    assert lake.gets() == ["/lake/many/day%3D142/rows.parquet"]
    assert [row for row in changed if row not in first] == [{"id": 42, "n": -1.0, "day": 142}]
    assert "1 of 100 files" in reader.notes[-2]

    lake.remove("many/day=107/rows.parquet")
    assert [row["id"] for row in reader.rows(source)] == [i for i in range(100) if i != 7]
    assert lake.gets() == []
    kept = [file for file in (tmp_path / "cache").rglob("*") if file.is_file()]
    assert len(kept) == 99, "no copy of what changed or has gone"


def test_globs_and_single_objects(lake: Lake, tmp_path: Path) -> None:
    for name in (
        "odd/a[1]*?.csv",
        "a/2024-01.csv",
        "a/2024-02.csv",
        "a/2025-01.csv",
        "a/deep/2024-03.csv",
        "a/2024-04.txt",
    ):
        lake.write(f"glob/{name}", f"id,name\n1,{name}\n".encode())
    reader = Reader(tmp_path)

    def names(path: str) -> list[str]:
        return [row["name"] for row in reader.rows({"csv": f"s3://lake/glob/{path}"})]

    assert names("a/2024-*.csv") == ["a/2024-01.csv", "a/2024-02.csv"]
    assert names("a/**/2024-*.csv") == ["a/2024-01.csv", "a/2024-02.csv", "a/deep/2024-03.csv"]
    assert names("*/202[45]-01.csv") == ["a/2024-01.csv", "a/2025-01.csv"]
    assert names("a/2025-01.csv") == ["a/2025-01.csv"]
    assert names("odd/") == ["odd/a[1]*?.csv"], "what DuckDB would take for a pattern"
    with pytest.raises(DataError, match=r"no file 's3://lake/glob/b/\*\.csv'"):
        names("b/*.csv")
    with pytest.raises(BessemerError, match="nowhere"):
        reader.rows({"csv": "s3://nowhere/a.csv"})


def test_a_big_object_comes_in_blocks_and_goes_on_after_a_kill(lake: Lake, tmp_path: Path) -> None:
    lines = b"".join(b"%09d,%s\n" % (i, b"x" * 1990) for i in range(20_000))
    lake.write("big/rows.csv", b"id,text\n" + lines)
    script = (
        "import sys; sys.path[:0] = sys.argv[1:3]; from pathlib import Path; "
        "from elsewhere_support import Reader; "
        "print(Reader(Path(sys.argv[3])).acquire({'csv': 's3://lake/big/rows.csv'}).meta['rows'])"
    )
    tests = Path(__file__).parents[1]
    command = [sys.executable, "-c", script, str(tests), str(tests / "acquire"), str(tmp_path)]
    late = ("bytes=16777216-", "bytes=25165824-", "bytes=33554432-")
    lake.front.fault = lambda r: Fault(pause=600.0) if r.headers.get("range", "").startswith(late) else None
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while not any(j.read_text().count("\n") == 2 for j in (tmp_path / "cache").rglob("*.blocks")):
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    lake.front.fault = lambda request: None
    lake.gets()
    whole = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert int(whole) == 20_000
    came = {request.headers["range"] for request in lake.front.requests if "range" in request.headers}
    assert len(came) == 3, "only the blocks that were missing came"
    assert all(block.startswith(late) for block in came)


def test_an_object_that_is_replaced_while_it_is_read_is_never_a_mixture(lake: Lake, tmp_path: Path) -> None:
    def lines(mark: bytes) -> bytes:
        return b"id,mark\n" + b"".join(b"%09d,%s\n" % (i, mark * 990) for i in range(20_000))

    lake.write("moving/rows.csv", lines(b"a"))
    new, replaced = lines(b"b"), []

    def replace(request: Any) -> None:
        if request.method == "GET" and "bytes=0-" in request.headers.get("range", "") and not replaced:
            replaced.append(True)
            lake.write("moving/rows.csv", new)

    lake.front.fault = replace
    try:
        rows = Reader(tmp_path).rows({"csv": "s3://lake/moving/rows.csv"})
    finally:
        lake.front.fault = lambda request: None
    assert replaced
    assert {row["mark"][0] for row in rows} == {"b"}


def test_what_does_not_fit_the_cache_ends_with_the_stage(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(3):
        lake.write(f"small/{i}.csv", b"id,n\n" + b"1,2\n" * 1000)
    monkeypatch.setenv("BESSEMER_CACHE_SIZE", "9000")
    reader, source = Reader(tmp_path), {"csv": "s3://lake/small/"}
    assert len(reader.rows(source)) == 3000
    assert len([file for file in (tmp_path / "cache").rglob("*") if file.is_file()]) == 2
    lake.gets()
    assert len(reader.rows(source, work="next")) == 3000
    assert lake.gets() == ["/lake/small/2.csv"]


def test_another_emulator_of_amazon_agrees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with moto(tmp_path / "moto") as endpoint, in_front_of(int(endpoint.rpartition(":")[2])) as front:
        monkeypatch.setenv("AWS_ENDPOINT_URL", front.url)
        s3fs.S3FileSystem.clear_instance_cache()
        lake = Lake(endpoint, front)
        lake.write("in/a.parquet", parquet(pa.table({"id": [1, 2], "n": [1.5, None]})))
        reader, source = Reader(tmp_path), {"parquet": "s3://lake/in/"}
        assert reader.rows(source) == [{"id": 1, "n": 1.5}, {"id": 2, "n": None}]
        assert reader.fingerprint(source) == reader.fingerprint(source)
        lake.gets()
        assert len(reader.rows(source)) == 2
        assert lake.gets() == []
