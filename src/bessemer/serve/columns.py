"""Rows of JSON values -> columns -> tensors, with every fault named by row, field and value.

JSON says more about a type than a table does, so this is stricter than `package.feeds`: text is never read as
a number nor a number as text. What it accepts becomes the same tensor as there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from bessemer.core.errors import did_you_mean
from bessemer.core.signature import MISSING_TIMESTAMP, Field
from bessemer.package.feeds import NUMPY, microseconds
from bessemer.serve.errors import MOST_FAULTS, RowFault, bad_rows, shown

Array = np.ndarray[Any, Any]
Column = Sequence[Any]

_NONE = type(None)
_NUMBERS = frozenset({int, float, _NONE})
_FLAGS = frozenset({bool, int, float, _NONE})
_TEXTS = frozenset({str, _NONE})
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


def rows_to_feeds(
    rows: Sequence[Any], fields: Sequence[Field], *, ignore_extra: bool = False
) -> dict[str, Array]:
    """Rows given as objects, as the graph's tensors (N, 1).

    A key that is absent is a missing value where the training data had missing values, and a fault elsewhere;
    null is a missing value everywhere.

    Raises:
        RequestError: 400 with every fault: a row that is no object, a key the model does not know (unless
            `ignore_extra`), a required key that is absent, a value that is not of its field's type.

    >>> rows_to_feeds([{"age": 3}, {}], [Field("age", "number", "float32")])["age"].tolist()
    [[3.0], [nan]]
    """
    faults = _structure(rows, fields, ignore_extra)
    kept = [row if isinstance(row, dict) else {} for row in rows] if faults else rows
    feeds, wrong = _tensors({field.name: [row.get(field.name) for row in kept] for field in fields}, fields)
    if faults or wrong:
        raise bad_rows(sorted(faults + wrong, key=lambda fault: fault.row or 0))
    return feeds


def _structure(rows: Sequence[Any], fields: Sequence[Field], ignore_extra: bool) -> list[RowFault]:
    """What is wrong with the rows' keys."""
    names = {field.name for field in fields}
    required = {field.name for field in fields if not field.nullable}
    faults: list[RowFault] = []
    for number, row in enumerate(rows):
        if len(faults) > MOST_FAULTS:
            break
        if not isinstance(row, dict):
            what = f"{shown(row)} is not an object"
            faults.append(RowFault(number, "", what, shown(row), "send each row as {name: value}"))
        elif row.keys() != names:
            if not ignore_extra:
                faults += [_unknown(number, name, row[name], names) for name in row if name not in names]
            faults += [_absent(number, name) for name in sorted(required - row.keys())]
    return faults


def _unknown(number: int, name: str, value: Any, names: set[str]) -> RowFault:
    fix = did_you_mean(name, sorted(names)) or "add ?extra=ignore to ignore it"
    return RowFault(number, name, "the model has no such input", shown(value), fix)


def _absent(number: int, name: str) -> RowFault:
    return RowFault(
        number, name, "this input is required and absent", fix="send it, or null when it is not known"
    )


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
    with np.errstate(over="ignore"):
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
    array = np.array(values, dtype=np.float64)  # None becomes NaN
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
    if type(value) is int and abs(value) <= _MOST_MICROSECONDS:
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
