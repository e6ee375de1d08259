"""Columns of a query of PostgreSQL: how each is asked for, so that its values come as they are.

The driver gives what it can as Arrow. What it would give wrongly (times that are infinite, arrays of several
dimensions) or not at all (ranges, addresses) is turned into something exact by the server.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bessemer.core.sql import quote

if TYPE_CHECKING:
    import pyarrow as pa

#: The first time that is too late for 64 bits of microseconds.
TOO_LATE = "294247-01-01"
_TIMES = ("date", "timestamp", "timestamptz")
#: What comes as it is.
_PLAIN = (
    "bool", "int2", "int4", "int8", "float4", "float8", "text", "varchar", "name", "char", "bytea", "time",
)  # fmt: skip
_WIDEST = 38


@dataclass(frozen=True)
class Column:
    """A column of the result.

    alias: what it is called in the query. type: the server's name of its type. expression: over the alias.
    number: whether it comes as the text of a number. decimal: its digits and decimal places, where it has them;
    without them it becomes a float.
    """

    name: str
    alias: str
    type: str
    expression: str
    number: bool = False
    decimal: tuple[int, int] | None = None


def columns(schema: pa.Schema) -> list[Column]:
    """The columns of what the driver says a query has."""
    return [_column(field, f"c{number}") for number, field in enumerate(schema)]


def _column(field: pa.Field, alias: str) -> Column:
    import pyarrow as pa

    meta = field.metadata or {}
    kind = meta.get(b"POSTGRESQL:type", b"").decode()
    if kind == "numeric":
        decimal = _digits(int(meta.get(b"POSTGRESQL:typmod", b"-1")))
        return Column(field.name, alias, kind, f"{alias}::text", True, decimal)
    if kind == "money":
        return Column(field.name, alias, kind, f"{alias}::numeric::text", True)
    expression = f"{alias}::text"
    if kind in _PLAIN:
        expression = alias
    elif kind in _TIMES:
        expression = f"CASE WHEN isfinite({alias}) AND {alias} < '{TOO_LATE}' THEN {alias} END"
    elif kind == "interval":  # seconds, which is what it lands as
        expression = f"CASE WHEN isfinite({alias}) THEN extract(epoch FROM {alias})::float8 END"
    elif kind in ("oid", "xid", "cid"):  # without a sign, which the driver does not know
        expression = f"{alias}::text::int8"
    elif pa.types.is_nested(field.type):
        expression = f"to_json({alias})::text"
    return Column(field.name, alias, kind, expression)


def _digits(modifier: int) -> tuple[int, int] | None:
    """Digits and decimal places of a numeric, where Arrow has a decimal for them.

    >>> _digits(655366), _digits(788482), _digits(-1)
    ((10, 2), (14, 0), None)
    """
    if modifier < 4:
        return None
    precision, scale = (modifier - 4) >> 16 & 0xFFFF, ((modifier - 4 & 0x7FF) ^ 0x400) - 0x400
    digits = max(precision - min(scale, 0), scale)
    return (digits, max(scale, 0)) if digits <= _WIDEST else None


def select(wanted: Sequence[Column], query: str, where: str = "", *, typed: bool = False) -> str:
    """The SQL for columns of a query.

    Args:
        where: a condition over their aliases.
        typed: numbers as numbers of the server's own, not as texts.
    """
    listed = ", ".join(f"{_as_number(c) if typed else c.expression} AS {quote(c.name)}" for c in wanted)
    aliases = ", ".join(column.alias for column in wanted)
    return f"SELECT {listed} FROM (\n{query}\n) AS q({aliases}){' WHERE ' + where if where else ''}"


def _as_number(column: Column) -> str:
    if not column.number:
        return column.expression
    plain = column.expression.removesuffix("::text")
    if column.decimal is None:
        return f"{plain}::float8"
    return f"nullif({plain}, 'NaN')::numeric({column.decimal[0]}, {column.decimal[1]})"


def converted(batch: pa.RecordBatch, wanted: Sequence[Column]) -> pa.RecordBatch:
    """The batch with numbers that came as text as what they are; a decimal that is NaN is missing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    arrays = list(batch.columns)
    for number, column in enumerate(wanted):
        if column.decimal:
            text = pc.if_else(pc.equal(arrays[number], "NaN"), None, arrays[number])
            arrays[number] = pc.cast(text, pa.decimal128(*column.decimal))
        elif column.number:
            arrays[number] = pc.cast(arrays[number], pa.float64())
    return pa.record_batch(arrays, names=[column.name for column in wanted])
