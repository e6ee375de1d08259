"""Models that are folders: read whole into memory, within bounds, before anything looks at them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from bessemer.core.errors import UsageError
from bessemer.importers.models.foreign import LARGEST, refused

#: Most files of a model's folder, those of its folders among them, and how deep they may stand.
MOST_FILES, DEEPEST = 1_000, 16


def names_of(folder: Path) -> tuple[str, ...]:
    """The files of a folder, as paths below it with `/`, sorted.

    Raises:
        FormatError: too many of them, or one that is no plain file: a link may lead out of the folder.
        UsageError: the folder cannot be read.
    """
    try:
        found = sorted(path.relative_to(folder).as_posix() for path in _walk(folder, folder, DEEPEST, [0]))
    except OSError as error:
        raise UsageError(f"cannot read {folder}: {error.strerror}", fix="check the path") from None
    return tuple(found)


def _walk(top: Path, folder: Path, depth: int, count: list[int]) -> Iterator[Path]:
    if depth < 0:
        raise refused(f"the folder '{top.name}' has folders more than {DEEPEST} deep")
    with os.scandir(folder) as entries:
        for entry in entries:
            count[0] += 1
            if count[0] > MOST_FILES:
                raise refused(
                    f"the folder '{top.name}' has more than {MOST_FILES:,} files",
                    "a model has fewer",
                    "name the folder of the model alone",
                )
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(top, folder / entry.name, depth - 1, count)
            elif entry.is_file(follow_symlinks=False):
                yield folder / entry.name
            else:
                raise refused(
                    f"'{entry.name}' in the folder '{top.name}' is no plain file",
                    "a link may lead out of the folder",
                    "copy the folder with `cp -rL`",
                )


def files_of(folder: Path) -> dict[str, bytes]:
    """What is in each file of a folder.

    Raises:
        FormatError: see `names_of`; or they are too large together.
        UsageError: one cannot be read.
    """
    files: dict[str, bytes] = {}
    left = LARGEST
    for name in names_of(folder):
        files[name] = _read(folder / name, left)
        left -= len(files[name])
        if left < 0:
            raise refused(
                f"the folder '{folder.name}' has more than {LARGEST:,} bytes",
                f"models up to {LARGEST:,} are imported",
                "import a smaller model",
            )
    return files


def _read(path: Path, most: int) -> bytes:
    """A file's bytes; one more than may be, where there are more. What became a link since is not followed."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise refused(f"'{path.name}' is no plain file")
            return file.read(most + 1)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}", fix="check the path") from None


def packed(files: Mapping[str, bytes]) -> bytes:
    """The files as one text of bytes, which is the same for the same files: what a digest is taken of.

    >>> packed({"b": b"2", "a": b"1"}) == packed({"a": b"1", "b": b"2"}) != packed({"a": b"12", "b": b""})
    True
    """
    parts = []
    for name in sorted(files):
        told = name.encode("utf-8", "surrogateescape")
        parts += [len(told).to_bytes(8, "little"), told, len(files[name]).to_bytes(8, "little"), files[name]]
    return b"".join(parts)
