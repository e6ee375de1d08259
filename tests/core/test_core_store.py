"""The artifact store: content addressing, damage, refusals, clean-up, buckets."""

from __future__ import annotations

import errno
import uuid
from pathlib import Path

import pytest

from bessemer.core import store as store_module
from bessemer.core.errors import StoreError
from bessemer.core.remote_store import RemoteStore, open_store
from bessemer.core.store import DamagedBlob, Store, explained, write_atomic


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "folder":
        return Store(tmp_path / "store")
    return RemoteStore(f"memory://bessemer-{uuid.uuid4().hex}", tmp_path / "cache")


def test_equal_content_has_an_equal_reference(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "x.bin"
    file.write_bytes(b"abc" * 1000)
    by_path = store.put("raw", {"x": file}, {"rows": 1})
    by_bytes = store.put("raw", {"x": b"abc" * 1000}, {"rows": 1})
    assert by_path == by_bytes
    assert not file.exists(), "a file on the same disk is moved in, not copied"
    assert store.put("raw", {"x": b"abc"}, {"rows": 2}) != store.put("raw", {"x": b"abc"}, {"rows": 1})


def test_a_blob_of_the_store_is_passed_on_without_a_copy(store: Store) -> None:
    first = store.get(store.put("raw", {"data.parquet": b"rows"}, {}))
    second = store.get(store.put("data", {"data.parquet": first.path("data.parquet")}, {}))
    assert second.path("data.parquet") == first.path("data.parquet")
    assert second.bytes("data.parquet") == b"rows"


def test_a_wrong_file_name_offers_the_right_one(store: Store) -> None:
    artifact = store.get(store.put("raw", {"data.parquet": b""}, {}))
    with pytest.raises(StoreError, match=r"did you mean 'data.parquet'"):
        artifact.path("data.parket")


def test_a_damaged_blob_is_found_and_removed(tmp_path: Path) -> None:
    ref = Store(tmp_path).put("raw", {"x": b"content"}, {})
    artifact = Store(tmp_path).get(ref)
    (blob,) = (tmp_path / "blobs").rglob(artifact.files["x"].digest)
    blob.chmod(0o644)
    blob.write_bytes(b"CONTENT")
    with pytest.raises(DamagedBlob, match="damaged"):
        Store(tmp_path).get(ref).path("x")
    assert not Store(tmp_path).has(ref)


def test_a_damaged_remote_blob_is_found_and_removed(tmp_path: Path) -> None:
    url = f"memory://bessemer-{uuid.uuid4().hex}"
    store = RemoteStore(url, tmp_path / "a")
    ref = store.put("raw", {"x": b"content"}, {})
    store.fs.pipe_file(store._blob_key(store.get(ref).files["x"].digest), b"CONTENT")
    other = RemoteStore(url, tmp_path / "b")
    with pytest.raises(DamagedBlob):
        other.get(ref).path("x")
    assert not other.has(ref)


def test_another_machine_sees_what_a_bucket_holds(tmp_path: Path) -> None:
    url = f"memory://bessemer-{uuid.uuid4().hex}"
    ref = RemoteStore(url, tmp_path / "a").put("raw", {"x": b"content"}, {"rows": 3})
    other = RemoteStore(url, tmp_path / "b")
    assert other.has(ref)
    assert other.get(ref).text("x") == "content"


def test_a_damaged_manifest_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    ref = store.put("raw", {"x": b"1"}, {"rows": 1})
    path = tmp_path / "artifacts" / f"{ref.digest}.json"
    path.write_bytes(path.read_bytes().replace(b'"rows":1', b'"rows":2'))
    assert not store.has(ref)
    with pytest.raises(StoreError, match="damaged"):
        store.get(ref)


def test_records(store: Store) -> None:
    store.write_record("runs", "b", {"x": 1})
    store.write_record("runs", "a", {"x": {3, 1}})
    assert store.records("runs") == ["a", "b"]
    assert store.record("runs", "a") == {"x": [1, 3]}
    store.delete_record("runs", "a")
    assert store.record("runs", "a") is None
    assert store.records("nothing") == []


def test_sweep_removes_what_is_unused_and_keeps_shared_blobs(store: Store) -> None:
    kept = store.put("raw", {"x": b"shared", "y": b"own"}, {})
    gone = store.put("data", {"x": b"shared", "z": b"1234"}, {})
    assert store.sweep({kept.digest}, dry_run=True) == {"artifacts": 1, "bytes": 4}
    assert store.has(gone)
    store.write_record("keys", "k", {"outputs": {"raw": kept.digest}})
    store.write_record("keys", "g", {"outputs": {"raw": kept.digest, "data": gone.digest}})
    assert store.sweep({kept.digest}) == {"artifacts": 1, "bytes": 4}
    assert store.records("keys") == ["k"]
    assert not store.has(gone)
    assert store.get(kept).text("x") == "shared"


def test_a_failed_write_leaves_the_old_content_and_no_scraps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.txt"
    write_atomic(path, b"old")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store_module.os, "fsync", full)
    with pytest.raises(StoreError, match="disk full"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_refusals_of_the_system_are_explained() -> None:
    with pytest.raises(StoreError, match="not allowed to write"), explained("writing", "x"):
        raise OSError(errno.EROFS, "Read-only file system")
    with pytest.raises(FileNotFoundError), explained("writing", "x"):
        raise FileNotFoundError("x")


def test_a_read_only_folder(read_only_folder: Path) -> None:
    with pytest.raises(StoreError, match="not allowed"):
        Store(read_only_folder / "store").put("raw", {"x": b"1"}, {})


def test_open_store(tmp_path: Path) -> None:
    assert open_store("state", tmp_path).root == tmp_path / "state"
    assert open_store(str(tmp_path / "x"), Path("/")).root == tmp_path / "x"
    assert isinstance(open_store("memory://x", tmp_path), RemoteStore)
    with pytest.raises(StoreError, match="cannot open the store"):
        open_store("nosuch://x", tmp_path)
