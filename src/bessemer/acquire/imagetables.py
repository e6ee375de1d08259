"""Tables that stand beside images and tell of them: `metadata.csv`, `.jsonl` or `.parquet` with `file_name`."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bessemer.acquire.imagefiles import ImageFile
from bessemer.core.errors import DataError, did_you_mean
from bessemer.core.sql import literal, quote

if TYPE_CHECKING:
    from bessemer.core.stage import Context

_KEY = "file_name"
_READERS = {
    ".csv": "read_csv({}, sample_size = -1)",
    ".jsonl": "read_json({}, format = 'newline_delimited', sample_size = -1)",
    ".parquet": "read_parquet({})",
}


def joined(
    images: str, tables: list[ImageFile], folder: Path, connection: Any, ctx: Context
) -> tuple[str, list[Path]]:
    """A query for the images with the tables' columns, by path, and the files it reads.

    `file_name` is relative to the table's own folder. A column that the images have too (`label`) is the table's.

    Raises:
        DataError: a table cannot be read, or has no `file_name`.
    """
    files, parts = [], []
    for number, table in enumerate(tables):
        copy = folder / f"metadata-{number}{Path(table.path).suffix.lower()}"
        with table.open() as source, copy.open("wb") as out:
            shutil.copyfileobj(source, out)
        files.append(copy)
        parts.append(_one(table.path, copy, connection))
    told = " UNION ALL BY NAME ".join(parts)
    names = _names(connection, told)
    mine = [name for name in _names(connection, images) if name == "path" or name not in names]
    listed = [f"i.{quote(name)}" for name in mine] + [f"t.{quote(name)}" for name in names if name != "path"]
    _tell_of_missing(connection, images, told, ctx)
    query = f"SELECT {', '.join(listed)} FROM ({images}) i LEFT JOIN ({told}) t USING (path) ORDER BY i.path"
    return query, files


def _one(path: str, copy: Path, connection: Any) -> str:
    import duckdb

    relation = _READERS[copy.suffix].format(literal(copy))
    try:
        names = _names(connection, f"SELECT * FROM {relation}")
    except duckdb.Error as error:
        raise DataError(
            f"'{path}' cannot be read", why=str(error).splitlines()[0], fix="correct it"
        ) from error
    if _KEY not in names:
        raise DataError(f"'{path}' has no column '{_KEY}'", fix=did_you_mean(_KEY, names))
    above = path.rpartition("/")[0]
    prefix = f"{literal(above + '/')} || " if above else ""
    hidden = ", ".join(map(quote, [_KEY, *(["path"] if "path" in names else [])]))
    return f"SELECT {prefix}CAST({_KEY} AS VARCHAR) AS path, * EXCLUDE ({hidden}) FROM {relation}"


def _names(connection: Any, query: str) -> list[str]:
    return [row[0] for row in connection.execute(f"DESCRIBE {query}").fetchall()]


def _tell_of_missing(connection: Any, images: str, told: str, ctx: Context) -> None:
    twice = connection.execute(f"SELECT count(*) - count(DISTINCT path) FROM ({told})").fetchone()[0]
    if twice:
        raise DataError(f"{twice} images stand twice in the tables beside them", fix=f"each `{_KEY}` once")
    missing = f"SELECT count(*), min(path) FROM ({told}) WHERE path NOT IN (SELECT path FROM ({images}))"
    count, first = connection.execute(missing).fetchone()
    if count:
        ctx.warn(f"{count:,} rows of the tables beside the images have no image, such as '{first}'")
