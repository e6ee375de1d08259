"""Looks for marked secrets in whatever a program leaves behind: files of any kind, also those inside others."""

from __future__ import annotations

import base64
import gzip
import io
import sqlite3
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

_ZSTD = b"\x28\xb5\x2f\xfd"


def needles(mark: str) -> set[bytes]:
    """The bytes by which a mark is known: as text, in UTF-16 and in base64 wherever it begins, in lower case."""
    data = mark.encode("ascii")
    found = {data, mark.encode("utf-16-le")}
    for before in range(3):
        whole = base64.b64encode(bytes(before) + data)
        found.add(whole[-(-8 * before // 6) : 8 * (before + len(data)) // 6])
    return {each.lower() for each in found}


def found_in(folder: Path, marks: list[str]) -> list[str]:
    """Every place below a folder where a mark stands, in words; names of files count too."""
    looked_for = {mark: needles(mark) for mark in marks}
    places = []
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        parts: Iterator[tuple[str, bytes]] = iter([("its name", name.encode())])
        if path.is_file() and not path.is_symlink():
            parts = iter([("its name", name.encode()), *contents(name, path.read_bytes())])
        places += [f"{name}: {where}: {mark}" for where, data in parts for mark in holds(data, looked_for)]
    return places


def holds(data: bytes, looked_for: dict[str, set[bytes]]) -> list[str]:
    lower = data.lower()
    return [mark for mark, texts in looked_for.items() if any(text in lower for text in texts)]


def contents(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    """The bytes themselves, and everything packed in them."""
    yield name, data
    if data[:4] == b"PAR1":
        yield f"{name}, its columns", _of_parquet(data)
    elif data[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            for member in file.namelist():
                yield from contents(f"{name}/{member}", file.read(member))
    elif data[:2] == b"\x1f\x8b":
        yield from contents(f"{name}, unpacked", gzip.decompress(data))
    elif data[:4] == _ZSTD:
        yield from contents(
            f"{name}, unpacked", pa.CompressedInputStream(pa.BufferReader(data), "zstd").read()
        )
    elif data[:16] == b"SQLite format 3\x00":
        yield f"{name}, its rows", _of_sqlite(data)


def _of_parquet(data: bytes) -> bytes:
    table = pq.read_table(io.BytesIO(data))
    columns = [str(table.schema), *(str(column.to_pylist()) for column in table.columns)]
    return "\n".join(columns).encode("utf-8", "replace")


def _of_sqlite(data: bytes) -> bytes:
    with sqlite3.connect(":memory:") as database:
        database.deserialize(data[:18] + b"\x01\x01" + data[20:])  # as if it had no log beside it
        return "\n".join(database.iterdump()).encode("utf-8", "replace")
