"""Where finished files go, and where what is known of an unfinished job is kept: this disk, or an fsspec URL."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

from bessemer.core.errors import BessemerError, EnvironmentFault, StoreError, UsageError
from bessemer.core.filesystem import open_url, write_whole
from bessemer.core.store import explained, write_atomic
from bessemer.predict.protocol import Job, Target

_STATE = "state.json"


class Place(Protocol):
    """The folder of the output.

    scratch: a local folder for the file that grows. lasting: whether scratch and state survive this process, so
    that it is worth while to make a part safe before it is finished.
    """

    scratch: Path
    lasting: bool

    def recall(self) -> dict[str, Any] | None: ...
    def remember(self, state: Mapping[str, Any]) -> None: ...
    def forget(self) -> None: ...
    def publish(self, name: str, file: Path) -> None: ...
    def size(self, name: str) -> int | None: ...
    def read(self, name: str) -> bytes | None: ...
    def write(self, name: str, data: bytes) -> None: ...
    def remove(self, name: str) -> None: ...
    def names(self) -> list[str]: ...
    def close(self) -> None: ...


def place_of(target: Target, job: Job) -> Place:
    """The place a target names.

    Raises:
        EnvironmentFault: another job is at work there. MissingExtra: the URL's client is not installed.
        UsageError: nothing here writes such URLs.
    """
    where = target.where.removeprefix("file://")
    if "://" in where:
        return RemotePlace(where, target.folder, job.work)
    path = Path(where).expanduser()
    return LocalPlace(path, target.folder)


class LocalPlace:
    """A folder on this disk. What is unfinished stands in a hidden folder in it, or beside the one file."""

    lasting = True

    def __init__(self, path: Path, folder: bool) -> None:
        self._base = path if folder else path.parent
        self.scratch = path / ".bessemer" if folder else path.parent / f".{path.name}.parts"
        with explained("writing", path):
            self.scratch.mkdir(parents=True, exist_ok=True)
        self._lock = _locked(self.scratch, path)

    def recall(self) -> dict[str, Any] | None:
        return _parsed(_bytes(self.scratch / _STATE))

    def remember(self, state: Mapping[str, Any]) -> None:
        write_atomic(self.scratch / _STATE, json.dumps(state).encode())

    def forget(self) -> None:
        shutil.rmtree(self.scratch, ignore_errors=True)

    def publish(self, name: str, file: Path) -> None:
        with explained("writing", self._base / name):
            file.replace(self._base / name)
            _sync_folder(self._base)

    def size(self, name: str) -> int | None:
        path = self._base / name
        return path.stat().st_size if path.is_file() else None

    def read(self, name: str) -> bytes | None:
        return _bytes(self._base / name)

    def write(self, name: str, data: bytes) -> None:
        write_atomic(self.scratch / name, data)  # what a kill leaves of it stays in the hidden folder
        self.publish(name, self.scratch / name)

    def remove(self, name: str) -> None:
        with explained("removing", self._base / name):
            (self._base / name).unlink(missing_ok=True)

    def names(self) -> list[str]:
        return sorted(path.name for path in self._base.iterdir())

    def close(self) -> None:
        self._lock.close()


class RemotePlace:
    """A folder or one object behind a URL; files are made on this disk and uploaded whole.

    Of a folder the state is an object too, so another machine can go on with the job; of one object it is in `work`.
    """

    def __init__(self, url: str, folder: bool, work: Path) -> None:
        self._url, self.lasting = url, not folder
        with _remote(url):
            self._fs, inside = open_url(url)
        inside = inside.rstrip("/")
        self._base = inside if folder else inside.rpartition("/")[0]
        self._state = f"{self._base}/.bessemer/{_STATE}"
        self._lock: IO[str] | None = None
        if folder:
            self.scratch = Path(tempfile.mkdtemp(prefix="bessemer-predict-"))
        else:
            self.scratch = work / hashlib.sha256(url.encode()).hexdigest()[:24]
            with explained("writing", self.scratch):
                self.scratch.mkdir(parents=True, exist_ok=True)
            self._lock = _locked(self.scratch, url)

    def recall(self) -> dict[str, Any] | None:
        return _parsed(_bytes(self.scratch / _STATE) if self.lasting else self._get(self._state))

    def remember(self, state: Mapping[str, Any]) -> None:
        data = json.dumps(state).encode()
        if self.lasting:
            write_atomic(self.scratch / _STATE, data)
        else:
            self._put(self._state, data)

    def forget(self) -> None:
        if not self.lasting:
            self.remove(f".bessemer/{_STATE}")
        shutil.rmtree(self.scratch, ignore_errors=True)

    def publish(self, name: str, file: Path) -> None:
        with _remote(self._url):
            write_whole(self._fs, f"{self._base}/{name}", file)
        file.unlink()

    def size(self, name: str) -> int | None:
        with _remote(self._url):
            try:
                return int(self._fs.info(f"{self._base}/{name}")["size"])
            except FileNotFoundError:
                return None

    def read(self, name: str) -> bytes | None:
        return self._get(f"{self._base}/{name}")

    def write(self, name: str, data: bytes) -> None:
        self._put(f"{self._base}/{name}", data)

    def _get(self, path: str) -> bytes | None:
        with _remote(self._url):
            try:
                data: bytes = self._fs.cat_file(path)
            except FileNotFoundError:
                return None
        return data

    def _put(self, path: str, data: bytes) -> None:
        with _remote(self._url):
            write_whole(self._fs, path, data)

    def remove(self, name: str) -> None:
        with _remote(self._url):
            if self._fs.exists(f"{self._base}/{name}"):
                self._fs.rm_file(f"{self._base}/{name}")

    def names(self) -> list[str]:
        with _remote(self._url):
            self._fs.invalidate_cache()
            try:
                found = self._fs.ls(self._base, detail=False)
            except FileNotFoundError:
                return []
        return sorted(str(name).rstrip("/").rpartition("/")[2] for name in found)

    def close(self) -> None:
        if self._lock:
            self._lock.close()
        else:
            shutil.rmtree(self.scratch, ignore_errors=True)


def _bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _parsed(data: bytes | None) -> dict[str, Any] | None:
    """A state; None where there is none, or one that was cut while it was written."""
    try:
        state = json.loads(data) if data else None
    except ValueError:
        return None
    return state if isinstance(state, dict) else None


def _locked(folder: Path, output: object) -> IO[str]:
    """The lock of a folder, which the kernel lets go when this process ends.

    Raises:
        EnvironmentFault: another process has it.
    """
    with explained("locking", folder):
        handle = (folder / "lock").open("a+")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        raise EnvironmentFault(
            f"another `bessemer predict` writes {output}",
            why="two at once would score everything twice",
            fix="wait for it, or give the output another name",
        ) from None
    return handle


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _remote(url: str) -> Iterator[None]:
    """Whatever a network or a cloud library raises becomes one error that says what to do."""
    try:
        yield
    except BessemerError:
        raise
    except ValueError as error:
        raise UsageError(
            f"'{url}': nothing here writes '{url.partition('://')[0]}://'",
            why=str(error),
            fix="use a local path, s3://, gs:// or hdfs://",
        ) from error
    except Exception as error:
        raise StoreError(
            f"'{url}' cannot be written",
            why=f"{type(error).__name__}: {error}",
            fix="check the address, the rights and the credentials; then call it again to go on",
        ) from error
