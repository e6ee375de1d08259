"""What Snowflake gives as Arrow, in types that are the same in every batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

#: The most digits of whole numbers that certainly fit 64 bits.
_FIT = 18
#: The connector's numbers of types: a number, a float, dates and times, binary, a time of day, a boolean.
_FIXED, _REAL, _DATE, _BINARY, _TIME, _BOOLEAN = 0, 1, 3, 11, 12, 13
_ZONED, _NAIVE = (6, 7), (4, 8)


def types(description: Sequence[Any]) -> list[pa.DataType]:
    """The Arrow type of each column of a result, by the connector's description of it.

    Whole numbers of more than 18 digits are decimals; VARIANT, OBJECT and ARRAY are JSON text.
    """
    return [_type(column) for column in description]


def _type(column: Any) -> pa.DataType:
    import pyarrow as pa

    if column.type_code == _FIXED:
        precision, scale = column.precision or 38, column.scale or 0
        return pa.int64() if scale == 0 and precision <= _FIT else pa.decimal128(38, scale)
    if column.type_code in _ZONED:
        return pa.timestamp("us", "UTC")
    if column.type_code in _NAIVE:
        return pa.timestamp("us")
    plain = {
        _REAL: pa.float64(),
        _DATE: pa.date32(),
        _BINARY: pa.binary(),
        _TIME: pa.time64("us"),
        _BOOLEAN: pa.bool_(),
    }
    return plain.get(column.type_code, pa.string())


def converted(table: pa.Table, names: Sequence[str], wanted: Sequence[pa.DataType]) -> list[pa.RecordBatch]:
    """The rows in these types; times finer than microseconds are cut.

    What comes nested (a VECTOR) stays so.
    """
    import pyarrow as pa

    columns = []
    for column, kind in zip(table.columns, wanted, strict=True):
        finer = pa.types.is_timestamp(kind) or pa.types.is_time(kind)
        if pa.types.is_nested(column.type):
            columns.append(column)
        elif pa.types.is_timestamp(kind) and pa.types.is_timestamp(column.type):
            utc = column.cast(pa.timestamp("us", column.type.tz), safe=False)
            columns.append(
                utc.cast(kind) if column.type.tz or kind.tz is None else utc.cast(pa.int64()).cast(kind)
            )
        else:
            columns.append(column.cast(kind, safe=not finer))
    batches: list[pa.RecordBatch] = pa.Table.from_arrays(columns, names=list(names)).to_batches()
    return batches
