"""What holds of every way of transfer: writing whole, waiting, and telling of what is nobody's network."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import fsspec
import pytest

from bessemer.acquire import remote as remote_module
from bessemer.acquire.transfer import bucket as bucket_module
from bessemer.acquire.transfer.bucket import Bucket
from bessemer.acquire.transfer.patience import Passing, Patience, persist
from bessemer.core.errors import DataError, StoreError
from bessemer.core.filesystem import write_whole


def test_what_the_system_writes_in_parts_is_there_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = os.urandom(1000)
    (tmp_path / "a.csv").write_bytes(content)
    monkeypatch.setattr(bucket_module, "_BLOCK", 300)
    write = os.pwrite
    monkeypatch.setattr(bucket_module.os, "pwrite", lambda out, data, at: write(out, data[:70], at))
    bucket = Bucket(f"file://{tmp_path}/a.csv", "file", "csv")
    (remote,) = bucket.listed()
    bucket.fetch(remote, tmp_path / "part", lambda size: None)
    assert (tmp_path / "part").read_bytes() == content

    def full(out: int, data: bytes, at: int) -> int:
        if at >= 600:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(out, data, at)

    monkeypatch.setattr(bucket_module.os, "pwrite", full)
    with pytest.raises(StoreError, match="disk full"):
        bucket.fetch(remote, tmp_path / "other", lambda size: None)
    assert (tmp_path / "other.blocks").read_text() == "0\n300\n", "what is not there is not noted"


def test_two_that_write_a_file_at_once_do_not_mix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fs, path = fsspec.filesystem("file"), str(tmp_path / "there" / "a.bin")
    pipe = type(fs).pipe_file

    def meanwhile(self: object, target: str, value: bytes, **kwargs: object) -> None:
        pipe(self, target, value)
        if value == b"first":
            write_whole(fs, path, b"second, and longer")

    monkeypatch.setattr(type(fs), "pipe_file", meanwhile)
    write_whole(fs, path, b"first")
    assert Path(path).read_bytes() == b"first"
    assert [file.name for file in (tmp_path / "there").iterdir()] == ["a.bin"]


def test_a_writer_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fs, path = fsspec.filesystem("file"), str(tmp_path / "a.bin")
    write_whole(fs, path, b"old")

    def refused(self: object, one: str, other: str, **kwargs: object) -> None:
        raise PermissionError("no")

    monkeypatch.setattr(type(fs), "mv", refused)
    with pytest.raises(PermissionError):
        write_whole(fs, path, b"new")
    assert [file.name for file in tmp_path.iterdir()] == ["a.bin"]
    assert Path(path).read_bytes() == b"old"


def test_many_attempts_wait_no_longer_than_a_server_may_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("bessemer.acquire.transfer.patience.sleep", waits.append)

    def action() -> None:
        raise Passing("HTTP 503")

    with pytest.raises(DataError, match="cannot be read") as caught:
        persist(action, "a", Patience(attempts=20))
    assert waits == [*(0.5 * 2**i for i in range(8)), *[120.0] * 11]
    assert "tried 20 times" in str(caught.value)
    assert "the server asks" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "said"), [(TypeError("x"), "report it"), (RuntimeError("x"), "credentials")]
)
def test_a_fault_of_ours_is_not_told_as_one_of_credentials(error: Exception, said: str) -> None:
    def action() -> None:
        raise error

    with pytest.raises(DataError, match="cannot be read") as caught, remote_module._explained("s3://b/a.csv"):
        action()
    assert said in caught.value.fix
    assert ("credentials" in caught.value.fix) == (said == "credentials")
