"""What a decoder makes of messages: a table of those that it can read, and why it cannot read the others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

#: Columns of the landed table that are not of the message.
RESERVED = ("_partition", "_offset", "_timestamp", "_key", "_headers", "_error", "_raw")
#: More columns than this have no meaning as columns: names are made from values somewhere.
MOST_COLUMNS = 2000


@dataclass(frozen=True)
class Decoded:
    """Messages as rows.

    rows: (n,) positions of the messages that could be read, ascending. table: their values, n rows.
    faults: position of a message that could not be read -> the reason.
    """

    table: pa.Table
    rows: Sequence[int] | np.ndarray
    faults: Mapping[int, str]


class Decoder(Protocol):
    """A format of messages. It may remember what it has seen to be faster, never to decide otherwise."""

    def decode(self, values: Sequence[bytes], known: Mapping[str, pa.DataType]) -> Decoded:
        """The rows of messages.

        Args:
            values: the messages' bytes; none is None.
            known: the columns that the landed table has already: values get its types, or are faults.
        """


def table_of(columns: Mapping[str, pa.Array], rows: int) -> pa.Table:
    """A table that keeps its number of rows when it has no columns."""
    import pyarrow as pa

    if columns:
        return pa.table(dict(columns))
    return pa.table({"_": pa.nulls(rows)}).select([])


def without(decoded: Decoded, faults: Mapping[int, str]) -> Decoded:
    """The same without some rows, which are faults now.

    Args:
        faults: position among the decoded rows -> the reason.
    """
    import numpy as np

    if not faults:
        return decoded
    kept = np.setdiff1d(np.arange(len(decoded.rows)), list(faults))
    told = {int(decoded.rows[row]): reason for row, reason in faults.items()}
    rows = np.asarray(decoded.rows, dtype=np.int64)[kept]
    return Decoded(decoded.table.take(kept), rows.tolist(), {**decoded.faults, **told})


def joined(pieces: Sequence[tuple[int, Decoded]]) -> Decoded:
    """Pieces of a batch as one.

    Args:
        pieces: where each begins, and what it gave.
    """
    import pyarrow as pa

    rows = [start + int(row) for start, piece in pieces for row in piece.rows]
    faults = {start + row: reason for start, piece in pieces for row, reason in piece.faults.items()}
    tables = [piece.table for _, piece in pieces if piece.table.num_columns]
    if not tables:
        return Decoded(table_of({}, len(rows)), rows, faults)
    if any(not piece.table.num_columns and len(piece.rows) for _, piece in pieces):
        first = tables[0].schema.field(0)
        tables = [
            piece.table
            if piece.table.num_columns
            else pa.table({first.name: pa.nulls(len(piece.rows), first.type)})
            for _, piece in pieces
        ]
    return Decoded(pa.concat_tables(tables, promote_options="permissive"), rows, faults)


def clash(names: Iterable[str], known: Mapping[str, object]) -> str:
    """Why columns of these names cannot be added to those that there are; '' where they can."""
    there = dict(known)
    for name in names:
        if reason := refused(name, there):
            return reason
        there[name] = None
    return ""


def refused(name: str, known: Mapping[str, object]) -> str:
    """Why a column of this name cannot be added to those that there are; '' where it can.

    >>> refused("User", {"user": None})
    "the field 'User' differs only by case from 'user'"
    """
    if name in known:
        return ""
    if name.lower() in RESERVED:
        return f"the field '{name}' has a name that is kept for where a message was"
    try:
        name.encode()
    except UnicodeEncodeError:
        return f"the name of the field {name!a} has half of a surrogate pair"
    if len(known) >= MOST_COLUMNS:
        return f"the field '{name}' would be more than {MOST_COLUMNS} columns"
    same = next((there for there in known if there.lower() == name.lower()), "")
    return f"the field '{name}' differs only by case from '{same}'" if same else ""
