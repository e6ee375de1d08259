"""A Parquet file in a request's body to tensors."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bessemer.core.errors import DataError
from bessemer.package.feeds import to_feeds
from bessemer.serve.dialect import Subject
from bessemer.serve.errors import RequestError
from bessemer.serve.frames import places
from bessemer.serve.parquet_pages import unpacked_size
from bessemer.serve.wire import Batch

#: How many times larger than `max_body` the columns may be when they are unpacked.
_MOST_UNPACKED = 4


def read_parquet(subject: Subject, body: bytes, *, ignore_extra: bool = False) -> Batch:
    """The rows of a Parquet file; columns that are no inputs are not read (the index that pandas writes is one).

    Raises:
        RequestError: 400 for what is no Parquet or does not fit the inputs, 413 for too many rows or bytes.
    """
    fields = subject.signature.inputs
    try:
        if unpacked_size(body) > _MOST_UNPACKED * subject.spec.max_body:
            raise _too_large()
        # of what the footer says only this is asked: other parts of it, where broken, end the process in pyarrow 25
        file = pq.ParquetFile(pa.BufferReader(body))
        subject.check_rows(file.metadata.num_rows)
        names = [name for name in file.schema_arrow.names if not name.startswith("__index_level_")]
        order = places(subject, names, ignore_extra=ignore_extra)
        wanted = [names[place] for place in order if place is not None]
        texts = [field.name for field in fields if field.tensor == "string" and field.name in wanted]
        table = _read(subject, body, wanted, texts)
        return Batch(table.num_rows, feeds=to_feeds(table, fields, allow_missing=True))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise RequestError(400, f"the body is no Parquet file that can be read: {error}") from None
    except DataError as error:
        raise RequestError(400, error.what, why=error.why) from None


def _read(subject: Subject, body: bytes, wanted: list[str], texts: list[str]) -> pa.Table:
    """Some columns; text as a dictionary, so that a megabyte in every row stays one until its size is known."""
    file = pq.ParquetFile(pa.BufferReader(body), read_dictionary=texts)
    batches, rows = [], 0
    for batch in file.iter_batches(subject.spec.max_rows + 1, columns=wanted, use_threads=False):
        rows += batch.num_rows
        subject.check_rows(rows)
        batches.append(batch)
    table = pa.Table.from_batches(batches, None if batches else file.schema_arrow)
    _check_texts(subject, table)
    return table


def _check_texts(subject: Subject, table: pa.Table) -> None:
    left = _MOST_UNPACKED * subject.spec.max_body
    for column in table.columns:
        for chunk in column.chunks:
            if pa.types.is_dictionary(chunk.type) and pa.types.is_string(chunk.type.value_type):
                lengths = pc.binary_length(chunk.dictionary).take(chunk.indices)
                left -= pc.sum(lengths).as_py() or 0
    if left < 0:
        raise _too_large()


def _too_large() -> RequestError:
    return RequestError(413, "the table is too large", fix="send several requests")
