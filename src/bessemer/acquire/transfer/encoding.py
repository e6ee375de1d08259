"""Bodies that a server packed although they were asked for as they are."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from bessemer.acquire.unpack import refuse_bomb
from bessemer.core.errors import DataError
from bessemer.core.store import explained

_BLOCK = 2**20
_GZIP = b"\x1f\x8b"


class Packed:
    """The Content-Encoding of an unfinished file; '' for none. It stands beside the file, for a run after a kill."""

    def __init__(self, part: Path) -> None:
        self._file = part.with_name(part.name + ".packed")

    @property
    def encoding(self) -> str:
        return self._file.read_text() if self._file.exists() else ""

    @encoding.setter
    def encoding(self, encoding: str) -> None:
        if encoding:
            self._file.write_text(encoding)
        else:
            self._file.unlink(missing_ok=True)


def decode(file: Path, encoding: str, name: str, shown: str) -> None:
    """Unpack a file in its place.

    A name that ends in .gz is of a file that is packed itself: what many servers say of such a file with
    `Content-Encoding: gzip` is left as it came, unless there is gzip in the gzip.

    Args:
        encoding: the Content-Encoding. name: the file's own. shown: its address, for errors.

    Raises:
        DataError: an encoding that nobody asked for and nothing here knows, damaged, or a bomb.
    """
    if encoding not in ("gzip", "x-gzip"):
        raise DataError(
            f"'{shown}' came packed as '{encoding}'",
            why="it was asked for as it is",
            fix="have the server give it without Content-Encoding, or as gzip",
        )
    plain = file.with_name(file.name + ".plain")
    try:
        with gzip.open(file) as packed:
            if name.lower().endswith(".gz") and packed.peek(2)[:2] != _GZIP:
                return
            with explained("unpacking", file), plain.open("wb") as out:
                while block := packed.read(_BLOCK):
                    out.write(block)
                    refuse_bomb(name, file.stat().st_size, out.tell())
        plain.replace(file)
    except (zlib.error, EOFError, gzip.BadGzipFile) as error:
        file.unlink(missing_ok=True)
        raise DataError(
            f"'{shown}' is not what its server says",
            why=f"Content-Encoding: {encoding}, but {error}",
            fix="get it again; if it stays so, have the server give it without Content-Encoding",
        ) from error
    finally:
        plain.unlink(missing_ok=True)
