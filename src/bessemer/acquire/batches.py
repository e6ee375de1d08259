"""Streams of Arrow batches, written to disk as they come, whatever their schemas."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bessemer.core.errors import DataError
from bessemer.core.sql import literal, quote
from bessemer.core.store import explained

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Spooled:
    """Batches that were written to Parquet parts.

    columns: name -> whether it has a type; one whose values were all null in batches that gave it none has not.
    """

    columns: dict[str, bool]
    parts: tuple[Path, ...]

    @property
    def query(self) -> str:
        """All rows, in order; columns without a type as text."""
        listed = ", ".join(
            quote(name) if typed else f"CAST(NULL AS VARCHAR) AS {quote(name)}"
            for name, typed in self.columns.items()
        )
        return f"SELECT {listed} FROM {self.relation}"

    @property
    def relation(self) -> str:
        """The parts as a table: columns that have a type, matched by name and widened."""
        names = ", ".join(literal(part) for part in self.parts)
        return f"read_parquet([{names}], union_by_name = true)"


def spool(batches: Iterator[pa.RecordBatch], folder: Path, what: str) -> tuple[str, tuple[Path, ...]]:
    """Write batches to Parquet parts in `folder`; gives a query for all their rows, in order, and the parts.

    Raises:
        DataError: there are no batches, or a column's name stands twice.
    """
    spooled = spooled_parts(batches, folder, what)
    if not spooled.parts:
        raise DataError(f"{what} gave no rows", fix="check its query or its code")
    return spooled.query, spooled.parts


def spooled_parts(batches: Iterator[pa.RecordBatch], folder: Path, what: str) -> Spooled:
    """Write batches, of which there may be none, to Parquet parts in `folder`.

    A new part begins where the schema changes: columns are matched by name, types are widened by DuckDB, and a
    column that has no type yet (all null so far) takes the type it gets later.

    Raises:
        DataError: a column's name stands twice.
    """
    import pyarrow.parquet as pq

    columns: dict[str, bool] = {}
    parts: list[Path] = []
    schema = None
    with ExitStack() as stack, ExitStack() as source, explained("writing", folder):
        if isinstance(batches, Generator):
            source.enter_context(
                closing(batches)
            )  # what it holds open is let go, also when it is not read to its end
        folder.mkdir(parents=True, exist_ok=True)
        for batch in batches:
            kept = _typed(batch, columns, what)
            if not parts or kept.schema != schema:
                stack.close()
                schema = kept.schema
                parts.append(folder / f"{len(parts):06d}.parquet")
                writer = stack.enter_context(pq.ParquetWriter(parts[-1], schema, compression="snappy"))
            writer.write_batch(kept)
    return Spooled(columns, tuple(parts))


def _typed(batch: pa.RecordBatch, columns: dict[str, bool], what: str) -> pa.RecordBatch:
    """The batch without columns of no type; a batch must keep a column, or its rows would be lost."""
    import pyarrow as pa

    names = batch.schema.names
    if len({name.lower() for name in names}) != len(names):
        twice = sorted({n for n in names if [m.lower() for m in names].count(n.lower()) > 1})
        raise DataError(
            f"{what} gave duplicate column names: {', '.join(twice)}", fix="give each its own name"
        )
    empty = [field.name for field in batch.schema if pa.types.is_null(field.type)]
    for name in names:
        columns[name] = columns.get(name, False) or name not in empty
    kept = batch.select([name for name in names if name not in empty])
    if not kept.num_columns:  # all columns are without a type: keep the first as text
        columns[names[0]] = True
        return pa.record_batch([batch.column(0).cast(pa.string())], names=names[:1])
    return kept.replace_schema_metadata(None)
