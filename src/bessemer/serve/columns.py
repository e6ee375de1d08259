"""Rows of JSON values -> columns -> tensors, with every fault named by row, field and value.

JSON says more about a type than a table does, so this is stricter than `package.feeds`: text is never read as
a number nor a number as text. What it accepts becomes the same tensor as there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from bessemer.core.signature import MISSING_TIMESTAMP, Field
from bessemer.package.feeds import NUMPY, microseconds
from bessemer.serve.errors import MOST_FAULTS, RowFault, bad_rows, shown

Array = np.ndarray[Any, Any]
Column = Sequence[Any]

_NONE = type(None)
_NUMBERS = frozenset({int, float, _NONE})
_FLAGS = frozenset({bool, int, float, _NONE})
_TEXTS = frozenset({str, _NONE})
_NUMERIC = frozenset({"boolean", "integer", "number"})
_MOST_MICROSECONDS = 2**63 - 1

_EXPECTED = {
    "boolean": ("true or false", "send true, false or null"),
    "integer": ("a whole number", "send a JSON number without quotes, or null"),
    "number": ("a number", "send a JSON number without quotes, or null"),
    "string": ("text", "send a JSON string in quotes, or null"),
    "timestamp": (
        "a timestamp",
        "send ISO 8601 text (UTC where it has no zone), microseconds since 1970, or null",
    ),
}


def rows_to_feeds(rows: Sequence[Sequence[Any]], fields: Sequence[Field]) -> dict[str, Array]:
    """Rows of JSON values in the order of `fields`, as the graph's tensors (N, 1); None is missing.

    Raises:
        RequestError: 400 with the row, field and value of everything that is not of its field's type.

    >>> rows_to_feeds([(3,), (None,)], [Field("age", "number", "float32")])["age"].tolist()
    [[3.0], [nan]]
    """
    return to_feeds(_columns(rows, fields), fields)


def typed_feeds(rows: Sequence[Sequence[Any]], fields: Sequence[Field]) -> dict[str, Array]:
    """The same for rows whose values are all known to be of a right JSON type, numbers of all columns at once.

    Raises:
        RequestError: 400 where a whole number or a boolean is asked for and another number was sent, or text is no
            timestamp.

    >>> feeds = typed_feeds([(3, "a"), (None, "b")], [Field("n", "integer", "float32"), Field("s", "string", "string")])
    >>> feeds["n"].tolist(), feeds["s"].tolist()
    ([[3.0], [nan]], [['a'], ['b']])
    """
    columns = _columns(rows, fields)
    numbers = [field for field in fields if field.dtype in _NUMERIC]
    feeds: dict[str, Array] = {}
    for field in fields:
        if field.dtype == "string":
            values = columns[field.name]
            feeds[field.name] = made = np.empty((len(rows), 1), dtype=object)
            made[:, 0] = ["" if value is None else value for value in values] if None in values else values
    try:
        for field in fields:
            if field.dtype == "timestamp":
                feeds[field.name] = as_feed(_timestamps(columns[field.name], field), field)
    except _Refused:
        raise bad_rows(value_faults(rows, fields)) from None
    if numbers:
        wide = np.array([columns[field.name] for field in numbers], dtype=np.float64)
        for kind in ("integer", "boolean"):
            at = [i for i, field in enumerate(numbers) if field.dtype == kind]
            if at and impossible(wide[at], numbers[at[0]]).any():
                raise bad_rows(value_faults(rows, fields))
        with np.errstate(over="ignore"):
            narrow = wide.astype(np.float32)
        for i, field in enumerate(numbers):
            feeds[field.name] = (narrow if field.tensor == "float32" else wide)[i].reshape(-1, 1)
    return feeds


def value_faults(rows: Sequence[Sequence[Any]], fields: Sequence[Field]) -> list[RowFault]:
    """Every value of some rows that is not of its field's type."""
    return _tensors(_columns(rows, fields), fields)[1]


def _columns(rows: Sequence[Sequence[Any]], fields: Sequence[Field]) -> dict[str, Column]:
    columns = zip(*rows, strict=True) if rows else [()] * len(fields)
    return {field.name: column for field, column in zip(fields, columns, strict=True)}


def takes_matrix(fields: Sequence[Field]) -> bool:
    """Whether all inputs are numbers that one float32 matrix holds."""
    return all(field.tensor == "float32" and field.dtype != "string" for field in fields)


def to_matrix(rows: Sequence[Sequence[float | None]], fields: Sequence[Field]) -> Array:
    """Rows of numbers, all of a right JSON type, as one float32 matrix (N, F); None is NaN.

    Raises:
        RequestError: 400 where a whole number or a boolean is asked for and another number was sent.
    """
    wide = np.array(rows, dtype=np.float64).reshape(len(rows), len(fields))
    if faults := narrow_faults(wide, fields):
        raise bad_rows(faults)
    with np.errstate(over="ignore"):
        found: Array = wide.astype(np.float32)
    return found


def narrow_faults(matrix: Array, fields: Sequence[Field]) -> list[RowFault]:
    """The numbers of a matrix (N, F) that are no whole number or no boolean where their field is one.

    >>> [str(fault) for fault in narrow_faults(np.array([[0.5, 0.5]]), [Field("a", "number", "float32"),
    ...     Field("b", "integer", "float32")])][0][:34]
    "row 0, 'b': 0.5 is not a whole num"
    """
    faults: list[RowFault] = []
    kinds = [field.dtype for field in fields]
    for kind in ("integer", "boolean"):
        if kind not in kinds:
            continue
        places = [i for i, each in enumerate(kinds) if each == kind]
        values = matrix[:, places]
        bad = impossible(values, fields[places[0]])
        for row, place in np.argwhere(bad)[: MOST_FAULTS + 1].tolist() if bad.any() else ():
            faults.append(wrong_type(row, fields[places[place]], values[row, place].item()))
    return faults


def to_feeds(columns: Mapping[str, Column], fields: Sequence[Field]) -> dict[str, Array]:
    """Columns of JSON values as the graph's tensors: (N, 1) of each field's tensor type; null is missing.

    Raises:
        RequestError: 400 with the row, field and value of everything that is not of its field's type.

    >>> feeds = to_feeds({"age": [3, None]}, [Field("age", "number", "float32")])
    >>> feeds["age"].tolist()
    [[3.0], [nan]]
    """
    feeds, faults = _tensors(columns, fields)
    if faults:
        raise bad_rows(faults)
    return feeds


def _tensors(
    columns: Mapping[str, Column], fields: Sequence[Field]
) -> tuple[dict[str, Array], list[RowFault]]:
    feeds: dict[str, Array] = {}
    faults: list[RowFault] = []
    for field in fields:
        values = columns[field.name]
        try:
            feeds[field.name] = as_feed(_CONVERTERS[field.dtype](values, field), field)
        except _Refused:
            faults += _faults_of(values, field)
    return feeds, faults


def wrong_type(row: int, field: Field, value: Any) -> RowFault:
    """The fault of a value that is not of its field's type."""
    what, fix = _EXPECTED[field.dtype]
    return RowFault(row, field.name, f"{shown(value)} is not {what}", shown(value), fix)


def as_feed(array: Array, field: Field) -> Array:
    """N values as the tensor (N, 1) of a field; a number beyond float32 becomes infinity, as for a table."""
    with np.errstate(over="ignore", invalid="ignore"):  # a signalling NaN is a NaN
        return array.astype(NUMPY[field.tensor], copy=False).reshape(-1, 1)


class _Refused(Exception):
    """A column has a value that is not of its field's type."""


def _faults_of(values: Column, field: Field) -> list[RowFault]:
    """Each value that is refused on its own (the slow way, after the whole column was refused)."""
    convert = _CONVERTERS[field.dtype]
    faults: list[RowFault] = []
    for number, value in enumerate(values):
        try:
            convert([value], field)
        except _Refused:
            faults.append(wrong_type(number, field, value))
            if len(faults) > MOST_FAULTS:
                break
    return faults


def impossible(array: Array, field: Field) -> Array:
    """Which of some float64 values the field's type does not have; NaN, which is missing, every type has."""
    possible: Array = np.isnan(array)
    if field.dtype == "boolean":
        possible |= (array == 0) | (array == 1)
    elif field.dtype == "integer":
        possible |= array == np.floor(array)
    else:
        possible[:] = True
    return ~possible


def _numbers(values: Column, field: Field) -> Array:
    kinds = set(map(type, values))
    if not (kinds <= _NUMBERS or (field.dtype == "boolean" and kinds <= _FLAGS)):
        raise _Refused
    try:
        array = np.array(values, dtype=np.float64)  # None becomes NaN
    except OverflowError:  # a whole number beyond any float
        raise _Refused from None
    if field.dtype != "number" and impossible(array, field).any():
        raise _Refused
    return array


def _texts(values: Column, field: Field) -> Array:
    if not _TEXTS.issuperset(map(type, values)):
        raise _Refused
    array = np.empty(len(values), dtype=object)
    array[:] = ["" if value is None else value for value in values]
    return array


def _timestamps(values: Column, field: Field) -> Array:
    return np.array([_moment(value) for value in values], dtype=np.int64)


def _moment(value: Any) -> int:
    if value is None:
        return MISSING_TIMESTAMP
    if type(value) is float and value.is_integer() and abs(value) < 2**63:
        value = int(value)  # to JSON 5.0 is a whole number
    if type(value) is int and MISSING_TIMESTAMP <= value <= _MOST_MICROSECONDS:
        return value
    if type(value) is not str:
        raise _Refused
    try:
        found = microseconds(value)
    except (ValueError, OverflowError):
        raise _Refused from None
    return MISSING_TIMESTAMP if found is None else found


_CONVERTERS: Mapping[str, Callable[[Column, Field], Array]] = {
    "boolean": _numbers,
    "integer": _numbers,
    "number": _numbers,
    "string": _texts,
    "timestamp": _timestamps,
}
