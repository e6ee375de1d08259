"""The files behind a path, a folder, a glob or a URL, in order, with what shows that one has changed."""

from __future__ import annotations

import glob
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from bessemer.core.errors import BessemerError, DataError, did_you_mean
from bessemer.core.filesystem import open_url, version_of
from bessemer.core.store import explained

_READERS = {
    **dict.fromkeys((".parquet", ".pq"), "parquet"),
    **dict.fromkeys((".csv", ".csv.gz", ".tsv", ".tsv.gz"), "csv"),
    **dict.fromkeys((".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz"), "jsonl"),
}
_BLOCK = 2**20


@dataclass(frozen=True)
class DataFile:
    """A file here or behind a URL.

    path: as its file system names it. kind: parquet, csv or jsonl. fs: its fsspec file system; None for this disk.
    """

    path: str
    kind: str
    fs: Any = None

    @property
    def name(self) -> str:
        return PurePosixPath(self.path).name

    def stamp(self) -> str:
        """A text that differs when the file was changed; '' where its place does not tell."""
        if self.fs is None:
            facts = Path(self.path).stat()
            return f"{facts.st_size} {facts.st_mtime_ns} {facts.st_ino}"
        with reading(self.path):
            self.fs.invalidate_cache()
            return version_of(self.fs.info(self.path))

    def open(self) -> Any:
        """The file's bytes, to be read at any place of them."""
        if self.fs is None:
            return Path(self.path).open("rb")
        with reading(self.path):
            return self.fs.open(self.path, "rb")

    def local(self, folder: Path) -> Path:
        """A path on this disk with the file's content, copied there in blocks where it is elsewhere."""
        if self.fs is None:
            return Path(self.path)
        target = folder / self.name
        with reading(self.path), explained("downloading into", folder):
            folder.mkdir(parents=True, exist_ok=True)
            with self.fs.open(self.path, "rb") as source, target.open("wb") as out:
                shutil.copyfileobj(source, out, _BLOCK)
        return target


def kind_of_name(name: str) -> str:
    """parquet, csv or jsonl, by the ending; '' for others.

    >>> kind_of_name("a/b.CSV.gz"), kind_of_name("https://x/a.parquet?v=2"), kind_of_name("a.xls")
    ('csv', 'parquet', '')
    """
    name = name.lower()
    if "://" in name:
        name = name.partition("?")[0].partition("#")[0]
    return next((kind for ending, kind in _READERS.items() if name.endswith(ending)), "")


def find(source: str) -> list[DataFile]:
    """The files that a text names, sorted by path.

    A folder stands for all files in it and below, but those whose name begins with '.' or '_'.

    Raises:
        DataError: nothing is there, or a file is of no known kind.
        MissingExtra: the URL's client is not installed.
    """
    source = source.removeprefix("file://")
    found = _remote(source) if "://" in source else _local(Path(source).expanduser())
    for file in found:
        if not file.kind:
            raise DataError(f"cannot tell what '{file.name}' is", fix=f"use one of {', '.join(_READERS)}")
    return found


def _local(path: Path) -> list[DataFile]:
    if path.is_file():
        return [_here(path)]
    if path.is_dir():
        inside = (file for file in path.rglob("*") if not _hidden(file.relative_to(path).parts))
    else:
        inside = (Path(name) for name in glob.glob(str(path), recursive=True))  # noqa: PTH207 - any root
    files = sorted(file for file in inside if file.is_file())
    if not files:
        near = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        raise DataError(f"no file '{path}'", fix=did_you_mean(path.name, near))
    return [_here(file) for file in files]


def _here(path: Path) -> DataFile:
    return DataFile(str(path.absolute()), kind_of_name(path.name))


def _hidden(parts: tuple[str, ...]) -> bool:
    return any(part.startswith((".", "_")) for part in parts)


def _remote(url: str) -> list[DataFile]:
    with reading(url):
        fs, inside = open_url(url)
        if glob.has_magic(inside) and not url.startswith(("http://", "https://")):
            names = [name for name in fs.glob(inside) if fs.isfile(name)]
        elif url.startswith(("http://", "https://")) or fs.isfile(inside):
            names = [inside]
        else:
            start = len(PurePosixPath(inside).parts)
            names = [n for n in fs.find(inside) if not _hidden(PurePosixPath(n).parts[start:])]
    if not names:
        raise DataError(
            f"no file '{url}'", why="nothing is there", fix="check the address, the path and the rights"
        )
    return [DataFile(str(name), kind_of_name(str(name)), fs) for name in sorted(map(str, names))]


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Whatever a disk, a network or a cloud's library raises becomes one error that says what to do."""
    try:
        yield
    except BessemerError:
        raise
    except ValueError as error:
        raise DataError(
            f"'{what}': nothing here reads '{what.partition('://')[0]}://'",
            why=str(error),
            fix="use a local path, s3://, gs:// or https://",
        ) from error
    except Exception as error:
        raise DataError(
            f"'{what}' cannot be read",
            why=f"{type(error).__name__}: {error}",
            fix="check the address, the rights and the credentials",
        ) from error
