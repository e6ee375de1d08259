"""Values of a journal -> Arrow columns of the log's types. What has no value of its column's type becomes null.

The server has refused what is not of its type, so the fast way through Arrow is nearly always taken.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bessemer.core.signature import MISSING_TIMESTAMP
from bessemer.package.feeds import microseconds
from bessemer.package.prediction_log.model import LoggedInput

Array = np.ndarray[Any, Any]

#: `dtype.str` is slow, and this is the hot path.
_NAMES = {np.dtype(kind): np.dtype(kind).str for kind in "?bhilqBHILQefd"}
_INTEGERS = (-(2**63), 2**63 - 1)
_LOST = (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError, UnicodeError)


def from_json(values: Sequence[Any], field: LoggedInput) -> pa.Array:
    """A column of JSON values: numbers, booleans, text, None; timestamps as ISO 8601 text or microseconds.

    '' and NaN are null; a whole number beyond 64 bits is the nearest that fits.

    >>> from_json([1, 2.0, None, 1e300], LoggedInput("n", "integer", "float32")).to_pylist()
    [1, 2, None, 9223372036854775807]
    """
    dtype = "string" if field.hashed else field.dtype
    try:
        if dtype == "timestamp":
            return pa.array([_moment(value) for value in values], pa.int64()).cast(field.arrow)
        column = pa.array(values, field.arrow, from_pandas=True)
    except _LOST:
        column = pa.array([_ONE[dtype](value) for value in values], field.arrow)
    return _without_empty(column) if dtype == "string" else column


def from_tensor(array: Array, field: LoggedInput) -> pa.Array:
    """A column that came as a tensor, which has NaN, '' or the smallest int64 where a value is missing.

    >>> from_tensor(np.float32([1, np.nan]), LoggedInput("n", "boolean", "float32")).to_pylist()
    [True, None]
    """
    if array.dtype == object:
        return from_json(array.tolist(), field)
    return _from_numbers(array, field)


def packed(array: Array) -> list[Any]:
    """An array as a journal holds it: values where they are objects or text, else dtype and bytes.

    >>> packed(np.array([1, 2], dtype=np.int8)), packed(np.array(["a"], dtype=object))
    (['|i1', b'\\x01\\x02'], ['a'])
    """
    name = _NAMES.get(array.dtype)
    return array.ravel().tolist() if name is None else [name, array.tobytes()]


def joined(columns: Sequence[Any]) -> Array:
    """The flat arrays of `packed` ones, behind one another.

    >>> joined([packed(np.int8([1])), packed(np.int8([2, 3]))]).tolist(), joined([["a"], [None]]).tolist()
    ([1, 2, 3], ['a', None])
    """
    kinds = {column[0] if _is_array(column) else None for column in columns}
    if len(kinds) == 1 and None not in kinds:  # many small ones are the rule: one array, not one each
        return np.frombuffer(b"".join([column[1] for column in columns]), dtype=np.dtype(kinds.pop()))
    if kinds == {None}:
        return _objects(list(chain.from_iterable(columns)))
    flat = [np.frombuffer(c[1], dtype=np.dtype(c[0])) if _is_array(c) else _objects(c) for c in columns]
    return np.concatenate(flat)


def _is_array(column: Any) -> bool:
    return len(column) == 2 and type(column[1]) is bytes


def _objects(values: list[Any]) -> Array:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def predicted(array: Array, kind: pa.DataType) -> pa.Array:
    """The predictions of a graph as a column of the log."""
    return pa.array(array.tolist() if array.dtype.kind == "O" else array).cast(kind)


def _without_empty(column: pa.Array) -> pa.Array:
    if not pc.any(pc.equal(column, "")).as_py():
        return column
    return pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)


def _from_numbers(array: Array, field: LoggedInput) -> pa.Array:
    if field.dtype == "timestamp":
        return pa.array(array, mask=array == MISSING_TIMESTAMP).cast(field.arrow)
    missing = np.isnan(array) if array.dtype.kind == "f" else np.zeros(len(array), bool)
    if field.dtype == "number":
        return pa.array(array.astype(np.float64), mask=missing)
    if field.dtype == "boolean":
        return pa.array(array != 0, mask=missing)
    return _whole(array, missing)


def _whole(array: Array, missing: Array) -> pa.Array:
    """Whole floats as int64; infinity is missing to the graph, and here."""
    if array.dtype.kind != "f":
        return pa.array(array.astype(np.int64), mask=missing)
    missing = missing | np.isinf(array)
    wide = np.where(missing, 0.0, array).astype(np.float64)
    found = np.where(np.abs(wide) < 2.0**63, wide, 0.0).astype(np.int64)
    found = np.where(wide >= 2.0**63, _INTEGERS[1], np.where(wide < -(2.0**63), _INTEGERS[0], found))
    found = np.where(wide == -(2.0**63), _INTEGERS[0], found)
    return pa.array(found, mask=missing)


def _moment(value: Any) -> int | None:
    if isinstance(value, str):
        try:
            return microseconds(value)
        except (ValueError, OverflowError):
            return None
    if isinstance(value, bool) or not isinstance(value, int) or not _INTEGERS[0] < value <= _INTEGERS[1]:
        return None
    return value


def _number(value: Any) -> float | None:
    try:
        found = float(value)
    except OverflowError:
        return math.copysign(math.inf, value)
    except (TypeError, ValueError):
        return None
    return None if math.isnan(found) else found


def _integer(value: Any) -> int | None:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if not isinstance(value, int | float):
        return None
    return min(max(int(value), _INTEGERS[0]), _INTEGERS[1])


def _flag(value: Any) -> bool | None:
    return bool(value) if value in (0, 1) else None


def _text(value: Any) -> str | None:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else None


_ONE: dict[str, Callable[[Any], Any]] = {
    "boolean": _flag,
    "integer": _integer,
    "number": _number,
    "string": _text,
}
