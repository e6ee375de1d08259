"""Text in any encoding Python knows, rewritten as UTF-8 in a stream."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import TYPE_CHECKING

from bessemer.acquire.unpack import open_bytes
from bessemer.core.errors import DataError
from bessemer.core.store import explained

if TYPE_CHECKING:
    from bessemer.core.stage import Context

_BLOCK = 2**20


def to_utf8(file: Path, encoding: str, ctx: Context) -> Path:
    """The file itself where it is UTF-8, else a UTF-8 copy of it in the work folder.

    Raises:
        DataError: no such encoding, or the text is not in it.
    """
    try:
        if codecs.lookup(encoding).name in ("utf-8", "ascii"):
            return file
    except LookupError:
        raise DataError(
            f"no text encoding '{encoding}'", fix="utf-8, latin-1, cp1252, utf-16, shift_jis, gb18030..."
        ) from None
    folder = ctx.workdir / "utf8"
    target = folder / f"{len(list(folder.glob('*'))):05d}-{file.name.removesuffix('.gz')}"
    try:
        with explained("writing", target):
            folder.mkdir(parents=True, exist_ok=True)
            with open_bytes(file) as source, target.open("w", encoding="utf-8", newline="") as out:
                decoder = codecs.getincrementaldecoder(encoding)()
                while block := source.read(_BLOCK):
                    out.write(decoder.decode(block))
                out.write(decoder.decode(b"", final=True))
    except UnicodeError as error:
        raise DataError(
            f"'{file.name}' is not {encoding} text",
            why=str(error),
            fix="give its `encoding`, or save it as UTF-8",
        ) from error
    return target
