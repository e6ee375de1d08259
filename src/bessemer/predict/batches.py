"""Batches of exactly so many rows, whatever the pieces they come in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa


def exact(pieces: Iterable[Any], rows: int, skip: int = 0) -> Iterator[pa.Table]:
    """Tables of `rows` rows, the last one shorter, after leaving out the first `skip`; nothing is copied.

    >>> made = exact([pa.table({"a": [1, 2, 3]}), pa.table({"a": [4, 5]})], 2, skip=1)
    >>> [table["a"].to_pylist() for table in made]
    [[2, 3], [4, 5]]
    """
    held: list[pa.Table] = []
    have = 0
    for piece in pieces:
        table = pa.Table.from_batches([piece]) if isinstance(piece, pa.RecordBatch) else piece
        passed = min(skip, table.num_rows)
        skip -= passed
        table = table.slice(passed)
        while table.num_rows:
            part = table.slice(0, rows - have)
            table = table.slice(part.num_rows)
            held.append(part)
            have += part.num_rows
            if have == rows:
                yield _joined(held)
                held, have = [], 0
    if held:
        yield _joined(held)


def _joined(tables: list[pa.Table]) -> pa.Table:
    return tables[0] if len(tables) == 1 else pa.concat_tables(tables, promote_options="permissive")


def plain(table: pa.Table) -> pa.Table:
    """The table with its dictionaries written out: not every sink has them."""
    fields = [
        pa.field(f.name, f.type.value_type if pa.types.is_dictionary(f.type) else f.type)
        for f in table.schema
    ]
    return table.cast(pa.schema(fields))
