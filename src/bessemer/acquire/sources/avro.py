"""Avro's object container files, read block by block by fastavro."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from bessemer.acquire.avro_types import Column, columns_of, is_record
from bessemer.acquire.filebatches import FileBatches
from bessemer.acquire.options import Checksum, PathText
from bessemer.acquire.reading import told
from bessemer.core.errors import DataError, EnvironmentFault
from bessemer.core.spec import Spec

if TYPE_CHECKING:
    import pyarrow as pa

_FIX = "it may have been cut while it was copied or written: get it again"
#: A batch ends at so many rows, or so many bytes of the file.
_ROWS, _BYTES = 20_000, 8 * 2**20


class AvroSource(Spec):
    avro: PathText = Field(description="Avro container files: a file, folder, glob, URL or python:// path.")
    sha256: Checksum = None


class Avro(FileBatches):
    """One table from one or more files, each in its own schema."""

    kind = "avro"

    def batches(self, files: list[Path]) -> Iterator[pa.RecordBatch]:
        for path in files:
            with told(path.name, _FIX):
                try:
                    yield from _read(path)
                except ValueError as error:
                    if "you need to install" not in str(error):
                        raise
                    fix = "pip install 'fastavro[codecs]'"
                    raise EnvironmentFault(
                        f"'{path.name}' cannot be unpacked", why=str(error), fix=fix
                    ) from error


def _read(path: Path) -> Iterator[pa.RecordBatch]:
    import fastavro

    with path.open("rb") as file:
        if file.read(4) != b"Obj\x01":
            raise DataError(
                f"'{path.name}' is no Avro container file",
                why="it does not begin with 'Obj' and 1",
                fix="messages without a container need their schema: write them with a header",
            )
        file.seek(0)
        reader = fastavro.reader(file)
        schema = reader.writer_schema
        columns = columns_of(schema)
        yield _table([], columns)
        rows: list[Any] = []
        begun = file.tell()
        for row in reader:
            rows.append(row if is_record(schema) else {"value": row})
            if len(rows) >= _ROWS or (len(rows) % 256 == 0 and file.tell() - begun > _BYTES):
                yield _table(rows, columns)
                rows, begun = [], file.tell()
        if rows:
            yield _table(rows, columns)


def _table(rows: list[Any], columns: dict[str, Column]) -> pa.RecordBatch:
    import pyarrow as pa

    arrays = [column.array([row.get(name) for row in rows]) for name, column in columns.items()]
    return pa.record_batch(arrays, names=list(columns))
