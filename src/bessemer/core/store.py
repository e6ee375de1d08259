"""The artifact store: immutable blobs by digest, artifacts by digest, and the cache's key records.

    blobs/ab/<sha256>        a file's bytes
    artifacts/<digest>.json  kind, files (name -> digest, size), meta
    keys/<key>.json          what a stage gave for that key
    runs/<run>.json          the record of a run

Everything is written beside its place, flushed and renamed into it, so a killed process leaves either
the whole or nothing. A blob is checked against its digest the first time a process reads it. The store
is a folder, or any fsspec URL (a bucket); blobs of a remote store are cached in a local folder.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from bessemer.core import canonical
from bessemer.core.artifact import Artifact, ArtifactRef, FileEntry
from bessemer.core.errors import StoreError


class DamagedBlob(StoreError):
    """A blob was missing or not what its digest says; it has been removed, and its stage can make it again."""


def file_digest(path: Path) -> tuple[str, int]:
    """sha256 (hex) and size of a file, read in blocks."""
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest(), path.stat().st_size


@contextmanager
def explained(what: str, where: object) -> Iterator[None]:
    """Turn the operating system's refusals into errors that say what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StoreError(
                f"disk full while {what} {where}",
                why="nothing half-written was kept; what was finished before is safe",
                fix="free some space, or set `store:` in the project file to a larger place, and run again",
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise StoreError(
                f"not allowed to write while {what} {where}",
                why=os.strerror(error.errno),
                fix="make the folder writable, or set `store:` in the project file to one that is",
            ) from error
        raise


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """An empty file beside `path`, which takes its place, flushed, when the block ends well, and else goes.

    Raises:
        StoreError: disk full or read-only.
    """
    with explained("writing", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".part-{secrets.token_hex(8)}{path.suffix}")
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))  # the user's umask decides
        try:
            yield temporary
            with temporary.open("rb+") as f:
                os.fsync(f.fileno())
            temporary.replace(path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file so that a reader, or a crash, sees the old content or the new, never a part.

    Raises:
        StoreError: disk full or read-only.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(data)


class Store:
    """An artifact store on a local folder; `open_store` gives the right one for a URL.

    >>> import tempfile
    >>> store = Store(Path(tempfile.mkdtemp()))
    >>> ref = store.put("note", {"a.txt": b"hello"}, {"rows": 1})
    >>> store.get(ref).text("a.txt"), store.get(ref).meta["rows"]
    ('hello', 1)
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._verified: set[str] = set()

    # places -----------------------------------------------------------------------------------------
    def _blob_path(self, digest: str) -> Path:
        return self.root / "blobs" / digest[:2] / digest

    def temporary(self) -> Path:
        """A folder on the store's own disk for files that `put` then moves in."""
        folder = self.root / "tmp"
        with explained("making", folder):
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    # artifacts --------------------------------------------------------------------------------------
    def put(
        self, kind: str, files: Mapping[str, Path | bytes], meta: Mapping[str, Any] | None = None
    ) -> ArtifactRef:
        """Store an artifact. A file given as a path is moved in where it can be, else copied.

        A path that is a blob of this store already (from `Artifact.path`) is neither moved nor copied.
        """
        entries = {name: self._put_file(content) for name, content in sorted(files.items())}
        return self._put_manifest(kind, entries, meta or {})

    def _put_manifest(
        self, kind: str, entries: Mapping[str, FileEntry], meta: Mapping[str, Any]
    ) -> ArtifactRef:
        manifest = {"kind": kind, "files": entries, "meta": meta}
        data = canonical.dump_bytes(manifest)
        ref = ArtifactRef(kind, hashlib.sha256(data).hexdigest())
        self._write(f"artifacts/{ref.digest}.json", data)
        return ref

    def _put_file(self, content: Path | bytes) -> FileEntry:
        if isinstance(content, bytes):
            entry = FileEntry(hashlib.sha256(content).hexdigest(), len(content))
            if not self.has_blob(entry):
                write_atomic(self._blob_path(entry.digest), content)
        else:
            if content.parent.parent == self.root / "blobs":
                return FileEntry(content.name, content.stat().st_size)
            digest, size = file_digest(content)
            entry = FileEntry(digest, size)
            if not self.has_blob(entry):
                self._move_in(content, self._blob_path(digest))
        self._verified.add(entry.digest)
        return entry

    def has_blob(self, entry: FileEntry) -> bool:
        """Whether the blob is here, by name and size; its bytes are checked when they are read."""
        try:
            return self._blob_path(entry.digest).stat().st_size == entry.size
        except OSError:
            return False

    def _move_in(self, source: Path, target: Path) -> None:
        with explained("storing", target):
            target.parent.mkdir(parents=True, exist_ok=True)
            with source.open("rb+") as f:
                os.fsync(f.fileno())
            try:
                source.replace(target)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                part = target.with_name(f".part-{os.getpid()}-{target.name}")
                shutil.copyfile(source, part)
                part.replace(target)

    def get(self, ref: ArtifactRef) -> Artifact:
        """Open an artifact; its files are verified when they are read.

        Raises:
            StoreError: it is not in this store, or its manifest is damaged.
        """
        data = self._read(f"artifacts/{ref.digest}.json")
        if data is None:
            raise StoreError(f"{ref} is not in the store {self.root}", fix="bessemer run --force acquire")
        if hashlib.sha256(data).hexdigest() != ref.digest:
            raise StoreError(f"{ref} is damaged in the store {self.root}", fix="bessemer run --force acquire")
        manifest = json.loads(data)
        files = {name: FileEntry(**entry) for name, entry in manifest["files"].items()}
        return Artifact(ref, files, manifest["meta"], self)

    def has(self, ref: ArtifactRef) -> bool:
        """Whether the artifact and every one of its blobs are here, by name and size."""
        data = self._read(f"artifacts/{ref.digest}.json")
        if data is None or hashlib.sha256(data).hexdigest() != ref.digest:
            return False
        entries = (FileEntry(**entry) for entry in json.loads(data)["files"].values())
        return all(self.has_blob(entry) for entry in entries)

    def blob(self, entry: FileEntry) -> Path:
        """A local path with the blob's bytes, checked against the digest once in a process's life.

        A damaged blob is deleted, so that the next run makes it again.
        """
        path = self._blob_path(entry.digest)
        if entry.digest not in self._verified:
            if not path.exists():
                raise DamagedBlob(
                    f"blob {entry.digest[:12]} is missing from the store {self.root}",
                    fix="run again: the stage that made it will run again",
                )
            if file_digest(path)[0] != entry.digest:
                path.unlink()
                raise DamagedBlob(
                    f"blob {entry.digest[:12]} in the store {self.root} was damaged and has been removed",
                    fix="run again: the stage that made it will run again",
                )
            self._verified.add(entry.digest)
        return path

    def sweep(self, used: Collection[str], *, dry_run: bool = False) -> dict[str, int]:
        """Remove every artifact whose digest is not in `used`, the blobs that no other artifact has, and the records of
        keys that gave one of them."""
        kept, gone = set(), []
        for digest in self.records("artifacts"):
            files = (self.record("artifacts", digest) or {"files": {}})["files"].values()
            if digest in used:
                kept |= {entry["digest"] for entry in files}
            else:
                gone.append((digest, {entry["digest"]: int(entry["size"]) for entry in files}))
        blobs = {blob: size for _, entries in gone for blob, size in entries.items() if blob not in kept}
        if not dry_run:
            for digest, _ in gone:
                self.delete_record("artifacts", digest)
            for blob in blobs:
                self._delete_blob(blob)
            for key in self.records("keys"):
                outputs = (self.record("keys", key) or {"outputs": {"": ""}})["outputs"]
                if not set(outputs.values()).issubset(used):
                    self.delete_record("keys", key)
        return {"artifacts": len(gone), "bytes": sum(blobs.values())}

    def _delete_blob(self, digest: str) -> None:
        self._blob_path(digest).unlink(missing_ok=True)
        self._verified.discard(digest)

    # records: key -> outputs, run -> what happened ---------------------------------------------------
    def record(self, folder: str, name: str) -> dict[str, Any] | None:
        """The JSON record `folder/name`, or None where there is none (or only a damaged one)."""
        data = self._read(f"{folder}/{name}.json")
        if data is None:
            return None
        try:
            loaded: dict[str, Any] = json.loads(data)
        except ValueError:
            return None
        return loaded

    def write_record(self, folder: str, name: str, value: Mapping[str, Any]) -> None:
        self._write(f"{folder}/{name}.json", canonical.dump_bytes(value))

    def delete_record(self, folder: str, name: str) -> None:
        (self.root / folder / f"{name}.json").unlink(missing_ok=True)

    def records(self, folder: str) -> list[str]:
        """The names of the records in a folder, in order."""
        place = self.root / folder
        if not place.is_dir():
            return []
        return sorted(p.stem for p in place.iterdir() if p.suffix == ".json")

    # the two primitive moves a remote store replaces -------------------------------------------------
    def _write(self, relative: str, data: bytes) -> None:
        path = self.root / relative
        if not path.exists() or path.read_bytes() != data:
            write_atomic(path, data)

    def _read(self, relative: str) -> bytes | None:
        try:
            return (self.root / relative).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
