"""Whatever holds rows, as an Arrow table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from bessemer.core.errors import DataError, UsageError

_TAKES = "a pyarrow Table or RecordBatch, a pandas or polars DataFrame, a list of dicts or a dict of lists"


def as_table(data: Any) -> pa.Table:
    """An Arrow table of the same rows, in the same order.

    Takes a pyarrow Table or RecordBatch, anything with the Arrow PyCapsule interface (pandas, polars, duckdb,
    ibis...), a list of dicts (a key that a row lacks is null), a dict of lists, or one dict for one row.

    Raises:
        DataError: a column's values have no common type, or columns differ in length.
        UsageError: the object holds no rows.

    >>> as_table([{"a": 1}, {"a": None, "b": "x"}]).to_pydict()
    {'a': [1, None], 'b': [None, 'x']}
    """
    if isinstance(data, pa.Table):
        return data
    if isinstance(data, pa.RecordBatch):
        return pa.Table.from_batches([data])
    if isinstance(data, Mapping):
        return _from_columns(data)
    if isinstance(data, Sequence) and not isinstance(data, str | bytes):
        return _from_rows(data)
    if hasattr(data, "__arrow_c_stream__"):
        try:
            return pa.table(data)
        except (pa.ArrowException, TypeError, ValueError) as error:
            raise DataError(
                "the table cannot be read as Arrow columns",
                why=str(error),
                fix="give each column values of one type",
            ) from None
    if hasattr(data, "__arrow_c_array__"):
        return pa.Table.from_batches([pa.record_batch(data)])
    raise UsageError(f"cannot take rows from a {type(data).__name__}", fix=f"give {_TAKES}")


def _array(name: str, values: Any) -> pa.Array:
    try:
        return (
            values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values, from_pandas=True)
        )
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise DataError(
            f"the values of column '{name}' have no common type", why=str(error), fix="give them one type"
        ) from None


def _from_columns(data: Mapping[Any, Any]) -> pa.Table:
    if data and all(
        value is None or isinstance(value, str | bytes) or not hasattr(value, "__len__")
        for value in data.values()
    ):
        return _from_rows([data])
    arrays = {str(name): _array(str(name), values) for name, values in data.items()}
    if len(lengths := {name: len(array) for name, array in arrays.items()}) and len({*lengths.values()}) > 1:
        raise DataError(
            "the columns differ in length",
            why=", ".join(f"'{name}' has {n}" for name, n in list(lengths.items())[:5]),
            fix="give each column one value a row",
        )
    return pa.table(arrays)


def _from_rows(rows: Sequence[Any]) -> pa.Table:
    for i, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise UsageError(f"row {i} is a {type(row).__name__}, not a dict", fix=f"give {_TAKES}")
    names = list(dict.fromkeys(str(name) for row in rows for name in row))
    return pa.table({name: _array(name, [row.get(name) for row in rows]) for name in names})
