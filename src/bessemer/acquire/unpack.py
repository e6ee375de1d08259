"""Packed files: gzip, and zip archives with one data file, unpacked as a stream and within bounds."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, cast

from bessemer.core.errors import DataError
from bessemer.core.store import explained

if TYPE_CHECKING:
    from bessemer.core.stage import Context

#: Text seldom packs to less than 1/50 of its size; deflate cannot do better than 1/1032.
_MAX_RATIO = 250
_FREE_OF_DOUBT = 64 * 2**20
_BLOCK = 2**20


def open_bytes(file: Path) -> IO[bytes]:
    """A file's content, unpacked where it is gzip."""
    return cast("IO[bytes]", gzip.open(file, "rb")) if file.suffix.lower() == ".gz" else file.open("rb")


def unzip(archive: Path, folder: Path, ctx: Context) -> Path:
    """Unpack the one data file in `archive` into `folder`; the archive's own paths are not followed.

    Raises:
        DataError: not a zip, damaged, encrypted, not exactly one data file, or a zip bomb.
        StoreError: disk full.
    """
    try:
        with zipfile.ZipFile(archive) as packed:
            member = _member(packed, archive)
            target = folder / PurePosixPath(member.filename).name
            with (
                ctx.progress(f"unpacking {archive.name}", member.file_size) as bar,
                explained("unpacking", archive),
            ):
                folder.mkdir(parents=True, exist_ok=True)
                with packed.open(member) as source, target.open("wb") as out:
                    while block := source.read(_BLOCK):
                        out.write(block)
                        bar.advance(len(block))
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise DataError(
            f"'{archive.name}' is not a whole zip archive", why=str(error), fix="get the file again"
        ) from error
    return target


def _member(packed: zipfile.ZipFile, archive: Path) -> zipfile.ZipInfo:
    members = [
        m
        for m in packed.infolist()
        if not m.is_dir() and not m.filename.startswith("__MACOSX/") and m.file_size
    ]
    if len(members) != 1:
        names = ", ".join(m.filename for m in members[:5]) or "none"
        raise DataError(
            f"'{archive.name}' has {len(members)} files, one was expected: {names}",
            fix="unpack it and give the file, or a folder or glob of its files",
        )
    member = members[0]
    if member.flag_bits & 1:
        raise DataError(f"'{archive.name}' is encrypted", fix="unpack it with its password and give the file")
    refuse_bomb(archive.name, member.compress_size, member.file_size)
    return member


def refuse_bomb(name: str, packed: int, unpacked: int) -> None:
    """Refuse what would unpack to much more than data does.

    Raises:
        DataError: `unpacked` bytes are more than 64 MB and than 250 times the `packed` ones.
    """
    ratio = unpacked / max(packed, 1)
    if unpacked > _FREE_OF_DOUBT and ratio > _MAX_RATIO:
        raise DataError(
            f"'{name}' would unpack to {unpacked / 2**20:,.0f} MB, {ratio:,.0f} times its size",
            why=f"more than {_MAX_RATIO} times is taken for a zip bomb",
            fix="if it is meant, unpack it and give the file",
        )
