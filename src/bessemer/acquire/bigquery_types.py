"""What BigQuery gives as Arrow, in types that everything after it reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa
    from google.cloud.bigquery import SchemaField


#: The most digits of a decimal that is not a float in the end.
_WIDEST = 38


def converted(batch: pa.RecordBatch, fields: Sequence[SchemaField] = ()) -> pa.RecordBatch:
    """The batch without marks of BigQuery's own types.

    Numbers of 76 digits (BIGNUMERIC) become floats. A column whose digits were said, as NUMERIC(18, 0), has as many.

    >>> from decimal import Decimal
    >>> import pyarrow as pa
    >>> wide = pa.array([{"a": [Decimal("1.5")]}, None], pa.struct([("a", pa.list_(pa.decimal256(76, 38)))]))
    >>> converted(pa.record_batch({"w": wide})).to_pylist()
    [{'w': {'a': [1.5]}}, {'w': None}]
    """
    import pyarrow as pa

    said = {f.name: (f.precision, f.scale or 0) for f in fields if 0 < (f.precision or 0) <= _WIDEST}
    arrays = []
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        whole = pa.types.is_decimal(column.type) and name in said
        arrays.append(column.cast(pa.decimal128(*said[name]) if whole else _narrow(column.type)))
    return pa.record_batch(arrays, names=batch.schema.names)


def _narrow(kind: pa.DataType) -> pa.DataType:
    """The type with every decimal of 256 bits in it as a float."""
    import pyarrow as pa

    if pa.types.is_decimal256(kind):
        return pa.float64()
    if pa.types.is_list(kind):
        return pa.list_(_narrow(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, _narrow(field.type)) for field in kind])
    return kind
