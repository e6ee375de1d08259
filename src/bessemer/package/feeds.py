"""Arrow columns in, tensors out: what a graph is fed.

Every column becomes an (N, 1) array of its field's tensor type. Missing is NaN, '' or the smallest int64.
A column is first brought to one canonical Arrow type (float64, text, int64 microseconds), then to numpy;
integers always pass through float64, so a value gives the same float32 whether or not its batch has nulls.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from bessemer.core.errors import did_you_mean
from bessemer.core.signature import MISSING_TIMESTAMP, Field
from bessemer.package.values import NUMPY, microseconds, refused, shown

__all__ = ["NUMPY", "distinct", "microseconds", "to_columns", "to_feeds", "to_tensor"]


class _RefusedError(Exception):
    """A column that cannot become the field's tensor: what is wrong with it, and where."""


def to_feeds(
    table: pa.Table | pa.RecordBatch, inputs: Sequence[Field], *, allow_missing: bool = False
) -> dict[str, np.ndarray]:
    """The tensors a graph takes, from the columns of a table.

    Numbers, booleans, decimals and numeric text become floats; integers, booleans and text become text;
    dates, timestamps of any unit and zone, ISO 8601 text (UTC where it has no zone) and integers (microseconds
    since 1970) become int64 microseconds. Null, NaN and '' mean missing. Other columns are ignored.

    Args:
        table: N rows.
        inputs: the model's input fields.
        allow_missing: whether a nullable field may be absent from the table (it is then all missing).

    Returns:
        for each field its name and an array of shape (N, 1) and the field's tensor type.

    Raises:
        DataError: names every column that is absent or cannot be converted, with its first bad value and row.

    >>> feeds = to_feeds(pa.table({"age": [1, None]}), [Field("age", "number", "float32")])
    >>> feeds["age"].tolist(), feeds["age"].dtype
    ([[1.0], [nan]], dtype('float32'))
    """
    columns = to_columns(table, inputs, allow_missing=allow_missing)
    return {f.name: to_tensor(columns[f.name], f) for f in inputs}


def to_columns(
    table: pa.Table | pa.RecordBatch, inputs: Sequence[Field], *, allow_missing: bool = False
) -> dict[str, pa.Array]:
    """The input columns in their canonical Arrow type: float64, string (perhaps as a dictionary) or int64.

    Raises:
        DataError: as `to_feeds`.
    """
    where: dict[str, list[int]] = {}
    for i, name in enumerate(table.schema.names):
        where.setdefault(name, []).append(i)
    found: dict[str, pa.Array] = {}
    faults: list[str] = []
    for field in inputs:
        try:
            found[field.name] = _column(table, field, where, allow_missing)
        except _RefusedError as refusal:
            faults.append(str(refusal))
    if faults:
        raise refused(faults)
    return found


def _column(
    table: pa.Table | pa.RecordBatch, field: Field, where: Mapping[str, list[int]], allow_missing: bool
) -> pa.Array:
    places = where.get(field.name, [])
    if len(places) > 1:
        raise _RefusedError(f"the data has {len(places)} columns named '{field.name}'")
    if not places:
        if allow_missing and field.nullable:
            return _canonical(pa.nulls(table.num_rows), field)
        hint = did_you_mean(field.name, where) or "it has no columns"
        raise _RefusedError(f"the data has no column '{field.name}' ({hint})")
    column = table.column(places[0])
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
        if isinstance(column, pa.ChunkedArray):  # text beyond 2 GiB does not fit one array
            column = pa.concat_arrays([chunk.cast(pa.large_string()) for chunk in column.chunks])
    return _canonical(column, field)


def _canonical(column: pa.Array, field: Field) -> pa.Array:
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if field.tensor == "string":
        return _text(column, field)
    if pt.is_dictionary(column.type):
        column = column.dictionary_decode()
    if field.dtype == "timestamp":
        return _microseconds(column, field)
    return _number(column, field)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pt.is_string(kind) or pt.is_large_string(kind) or pt.is_string_view(kind))


def _refuse(column: pa.Array, field: Field, bad: Callable[[Any], bool]) -> _RefusedError:
    """The refusal that shows the first value `bad` holds for."""
    for row in range(len(column)):
        value = column[row].as_py()
        if value is not None and bad(value):
            return _RefusedError(f"column '{field.name}', row {row}: {shown(value)} is no {field.dtype}")
    return _RefusedError(
        f"column '{field.name}' is of type {column.type}, and the model wants a {field.dtype}"
    )


def _raises(function: Callable[[Any], Any]) -> Callable[[Any], bool]:
    def bad(value: Any) -> bool:
        try:
            function(value)
        except (ValueError, OverflowError, pa.ArrowException):
            return True
        return False

    return bad


def _never(_: Any) -> bool:
    return False


def _number(column: pa.Array, field: Field) -> pa.Array:
    given, kind = column, column.type
    if _is_text(kind):
        column = _from_text(column, field)
    elif not (
        pt.is_boolean(kind)
        or pt.is_integer(kind)
        or pt.is_floating(kind)
        or pt.is_decimal(kind)
        or pt.is_null(kind)
    ):
        raise _refuse(column, field, _never)
    if column.type != pa.float64():
        column = column.cast(pa.float64(), safe=False)
    if field.dtype == "boolean" and not pt.is_boolean(kind) and len(column):
        unsigned = pc.add(column, 0.0)  # to `is_in` a negative zero is another value than 0
        known = pc.or_(
            pc.is_in(unsigned, value_set=pa.array([0.0, 1.0])), pc.is_null(column, nan_is_null=True)
        )
        if not pc.all(known).as_py():
            raise _refuse(given, field, lambda v: v == v and v not in (0, 1))
    return column


def _from_text(column: pa.Array, field: Field) -> pa.Array:
    """Numbers or booleans that were written as text; '' is missing."""
    target = pa.bool_() if field.dtype == "boolean" else pa.float64()
    trimmed = pc.utf8_trim_whitespace(column.cast(pa.large_string()))
    trimmed = pc.if_else(pc.equal(trimmed, ""), pa.scalar(None, pa.large_string()), trimmed)
    try:
        return trimmed.cast(target)
    except pa.ArrowInvalid:
        raise _refuse(trimmed, field, _raises(lambda v: pa.scalar(v).cast(target))) from None


def _text(column: pa.Array, field: Field) -> pa.Array:
    kind = column.type
    if pt.is_dictionary(kind):
        if pt.is_string_view(kind.value_type):  # polars; few of Arrow's functions take a view
            return pa.DictionaryArray.from_arrays(column.indices, column.dictionary.cast(pa.string()))
        if pt.is_string(kind.value_type) or pt.is_large_string(kind.value_type):
            return column
        column = column.dictionary_decode()
        kind = column.type
    if pt.is_string(kind) or pt.is_large_string(kind):
        return column
    if pt.is_floating(kind) and _all_missing(column):
        return pa.nulls(len(column), pa.string())
    if not (_is_text(kind) or pt.is_integer(kind) or pt.is_boolean(kind) or pt.is_null(kind)):
        raise _refuse(column, field, lambda v: v == v)
    return column.cast(pa.string())


def _all_missing(column: pa.Array) -> bool:
    """Whether a column of floats has no value at all: how pandas writes an empty column of any type."""
    return bool(pc.all(pc.is_null(column, nan_is_null=True)).as_py() is not False)


def _microseconds(column: pa.Array, field: Field) -> pa.Array:
    kind = column.type
    if _is_text(kind):
        return _parsed(column, field)
    if pt.is_floating(kind) and _all_missing(column):
        return pa.nulls(len(column), pa.int64())
    if not (pt.is_timestamp(kind) or pt.is_date(kind) or pt.is_integer(kind) or pt.is_null(kind)):
        raise _refuse(column, field, lambda v: v == v)
    try:
        if pt.is_date(kind):
            kind, column = pa.timestamp("ms"), column.cast(pa.timestamp("ms"))
        if pt.is_timestamp(kind):  # the stored number is UTC, whatever the zone
            column = column.cast(pa.timestamp("us", kind.tz), safe=kind.unit != "ns")
        return column.cast(pa.int64())
    except pa.ArrowInvalid as error:
        raise _RefusedError(f"column '{field.name}' has a time that is no timestamp: {error}") from None


def _parsed(column: pa.Array, field: Field) -> pa.Array:
    coded = column.dictionary_encode()
    try:
        values = [None if text is None else microseconds(text) for text in coded.dictionary.to_pylist()]
    except ValueError:
        raise _refuse(column, field, _raises(microseconds)) from None
    return pa.array(values, pa.int64()).take(coded.indices)


def to_tensor(column: pa.Array, field: Field) -> np.ndarray:
    """The (N, 1) tensor of a column from `to_columns`."""
    if field.tensor == "string":
        if pt.is_dictionary(column.type):
            column = column.dictionary_decode()
        values = pc.fill_null(column, "") if column.null_count else column
        array = values.to_numpy(zero_copy_only=False)
    elif field.dtype == "timestamp":
        values = pc.fill_null(column, MISSING_TIMESTAMP) if column.null_count else column
        array = values.to_numpy(zero_copy_only=False)
    else:
        array = column.to_numpy(zero_copy_only=False)
    return np.ascontiguousarray(array.astype(NUMPY[field.tensor], copy=False)).reshape(-1, 1)


def distinct(column: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """The distinct texts (D, 1) of a column ('' for null) and each row's index into them."""
    coded = column if pt.is_dictionary(column.type) else column.dictionary_encode()
    texts, codes = coded.dictionary.to_pylist(), coded.indices
    if codes.null_count:
        codes = pc.fill_null(codes.cast(pa.int64()), len(texts))
        texts.append("")
    found = np.empty((len(texts), 1), dtype=object)
    found[:, 0] = ["" if text is None else text for text in texts]
    return found, codes.to_numpy(zero_copy_only=False)
