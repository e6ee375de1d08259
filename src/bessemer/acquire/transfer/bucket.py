"""Files behind an fsspec file system: buckets, HDFS, SFTP, whatever it knows. They are asked for in blocks."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from bessemer.acquire.shorthand import ENDINGS
from bessemer.acquire.transfer.patience import Passing, Patience, persist
from bessemer.acquire.transfer.remote import Advance, Changed, Remote
from bessemer.core.errors import BessemerError, DataError
from bessemer.core.filesystem import open_url, version_of
from bessemer.core.store import explained

_BLOCK = 8 * 2**20
_WORKERS = 8
#: Clients that may be called by several threads at once, beside those that are asynchronous anyway.
_THREADED = {"hdfs", "memory"}
#: Services that can list what begins with a text.
_PREFIXED = {"s3", "gs"}


class Bucket:
    """All files of a kind below a URL, those that a glob matches, or one.

    Args:
        url: as fsspec takes it. shown: how it may be written in an error. patience: of a client
            that does not try again by itself, as those of buckets do.
    """

    def __init__(self, url: str, shown: str, kind: str, patience: Patience = Patience()) -> None:
        self._shown, self._kind = shown, kind
        self.fs, self._inside = _opened(url, shown)
        spoken = self.fs.protocol
        self._spoken = {spoken} if isinstance(spoken, str) else set(spoken)
        self._asynchronous = bool(getattr(self.fs, "async_impl", False))
        self._patience = replace(patience, attempts=1) if self._asynchronous else patience
        self.workers = _WORKERS if self._asynchronous or not _THREADED.isdisjoint(self._spoken) else 1

    def listed(self) -> list[Remote]:
        self.fs.invalidate_cache()
        found = list(self._found())
        if not found:
            raise DataError(
                f"no file '{self._shown}'",
                why="nothing of that kind is there",
                fix="check the bucket, the path and the rights",
            )
        return sorted(found, key=lambda remote: remote.inside)

    def _found(self) -> Iterator[Remote]:
        root = self._inside.rstrip("/")
        if glob.has_magic(root):
            yield from self._matching(root)
            return
        try:
            facts = self.fs.info(root)
        except FileNotFoundError:
            return
        if facts["type"] == "file":
            yield _remote(facts, PurePosixPath(root).name)
            return
        endings = ENDINGS.get(self._kind, ("",))
        for facts in self._below(root, None):
            inside = str(facts["name"]).removeprefix(root.lstrip("/")).removeprefix(root).lstrip("/")
            hidden = any(part.startswith((".", "_")) for part in inside.split("/"))
            if not hidden and inside.lower().endswith(endings):
                yield _remote(facts, inside)

    def _matching(self, pattern: str) -> Iterator[Remote]:
        from fsspec.utils import glob_translate

        fixed = pattern[: min(pattern.index(mark) for mark in "*?[" if mark in pattern)]
        root, _, begins = fixed.rpartition("/")
        try:
            self.fs.info(root or "/")
        except FileNotFoundError:
            return
        depth = None if "**" in pattern else pattern.count("/") - root.count("/")
        matches = re.compile(glob_translate(pattern)).match
        for facts in self._below(root, depth, begins):
            if matches(str(facts["name"])):
                yield _remote(facts, str(facts["name"]).removeprefix(root).lstrip("/"))

    def _below(self, root: str, depth: int | None, begins: str = "") -> Iterator[dict[str, Any]]:
        """The files below a folder. A listing that fails is an error; fsspec's own walk leaves such folders out."""
        if self._asynchronous:  # object stores: one flat listing
            narrow = {"prefix": begins} if begins and not _PREFIXED.isdisjoint(self._spoken) else {}
            found = self.fs.find(root, detail=True, **narrow).values()
            for facts in found:
                name = str(facts["name"])
                if facts["type"] == "file" and not name.endswith("/") and name.startswith(f"{root}/"):
                    yield facts
            return
        for facts in self.fs.ls(root, detail=True):
            if facts["type"] == "file":
                yield dict(facts)
            elif depth is None or depth > 1:
                yield from self._below(str(facts["name"]), None if depth is None else depth - 1)

    def fetch(self, remote: Remote, part: Path, advance: Advance) -> str:
        size = remote.size if remote.size is not None else int(self.fs.size(remote.address))
        blocks = [(start, min(start + _BLOCK, size)) for start in range(0, size, _BLOCK)]
        done = _Done(part, size)
        with explained("downloading", part), done.open() as out:
            missing = [block for block in blocks if block[0] not in done.starts]
            advance(sum(stop - start for start, stop in blocks) - sum(b - a for a, b in missing))
            for block, data in self._read(remote, missing):
                _put(out, data, block[0])
                if len(blocks) > 1:
                    os.fsync(out)
                    done.note(block[0])
                advance(len(data))
        done.forget()
        return remote.version

    def changed(self, fetched: list[Remote]) -> set[str]:
        """Those whose version is another one in a new listing: what a file's own facts say may be worded otherwise."""
        now = {remote.address: remote.version for remote in self.listed()} if fetched else {}
        return {remote.address for remote in fetched if now.get(remote.address) != remote.version}

    def _read(self, remote: Remote, blocks: list[tuple[int, int]]) -> Iterator[tuple[tuple[int, int], bytes]]:
        """The bytes of the blocks, in the order they come in; no more than a few are held."""
        if len(blocks) == 1 or self.workers == 1:
            yield from ((block, self._block(remote, *block)) for block in blocks)
            return
        with ThreadPoolExecutor(self.workers, "bessemer-block") as pool:
            for first in range(0, len(blocks), self.workers):
                some = {
                    pool.submit(self._block, remote, *block): block
                    for block in blocks[first : first + self.workers]
                }
                for future in as_completed(some):
                    yield some[future], future.result()

    def _block(self, remote: Remote, start: int, stop: int) -> bytes:
        def attempt() -> bytes:
            try:
                data: bytes = self.fs.cat_file(remote.address, start=start, end=stop)
            except FileNotFoundError as error:
                raise Changed(remote.address) from error
            except (PermissionError, BessemerError):
                raise
            except Exception as error:  # each client has errors of its own for a network that fails
                raise Passing(f"{type(error).__name__}: {error}") from error
            if len(data) != stop - start:
                if self._version(remote) != remote.version:
                    raise Changed(remote.address)
                raise Passing(f"{len(data)} bytes came of {stop - start}")
            return data

        return persist(attempt, remote.address, self._patience)

    def close(self) -> None:
        """fsspec keeps its connections for the next one who asks."""

    def _version(self, remote: Remote) -> str:
        self.fs.invalidate_cache()
        try:
            return version_of(self.fs.info(remote.address))
        except FileNotFoundError:
            return "gone"


class _Done:
    """Which blocks of an unfinished file are on this disk: their starts, a line each, beside it."""

    def __init__(self, part: Path, size: int) -> None:
        self._part, self._size = part, size
        self._file = part.with_name(part.name + ".blocks")
        self.starts: set[int] = set()
        if self._part.exists() and self._part.stat().st_size == size and self._file.exists():
            self.starts = {int(line) for line in self._file.read_text().split("\n")[:-1] if line.isdecimal()}

    @contextmanager
    def open(self) -> Iterator[int]:
        """The descriptor of the file that grows; it has its full length from the beginning."""
        if not self.starts:
            self.forget()
        with self._part.open("r+b" if self.starts else "wb") as out:
            out.truncate(self._size)
            yield out.fileno()

    def note(self, start: int) -> None:
        with self._file.open("a") as file:
            file.write(f"{start}\n")

    def forget(self) -> None:
        self._file.unlink(missing_ok=True)


def _put(out: int, data: bytes, start: int) -> None:
    """Write all of it there: the system may take a part, on a disk that fills up or a share."""
    left = memoryview(data)
    while left:
        wrote = os.pwrite(out, left, start)
        left, start = left[wrote:], start + wrote


def _remote(facts: dict[str, Any], inside: str) -> Remote:
    size = facts.get("size")
    return Remote(str(facts["name"]), inside, None if size is None else int(size), version_of(facts))


def _opened(url: str, shown: str) -> tuple[Any, str]:
    try:
        return open_url(url)
    except ValueError as error:
        raise DataError(
            f"'{shown}': nothing here reads '{url.partition('://')[0]}://'",
            why=str(error),
            fix="use a local path, https://, s3://, gs://, hdfs:// or ftp://",
        ) from error
