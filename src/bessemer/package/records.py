"""Rows of Python values in, tensors out: `package.feeds` for those who have no Arrow.

What a column becomes is the same as there. Each value is taken by itself, though, so a column may mix what Arrow gives
no common type to.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from bessemer.core.errors import UsageError, did_you_mean
from bessemer.core.signature import MISSING_TIMESTAMP, Field
from bessemer.package.values import NUMPY, microseconds, refused, shown, since_1970

Rows = Sequence[Mapping[str, Any]]

_NONE = type(None)
_NUMBERS = frozenset({bool, int, float, _NONE})
_TEXTS = frozenset({str, _NONE})
_NUMBER = re.compile(r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf|infinity|nan)", re.ASCII | re.IGNORECASE)
_TRUTH = {"true": 1.0, "false": 0.0, "1": 1.0, "0": 0.0}
_MOST = 2**63


class _WrongError(Exception):
    """A value that is not of its field's type."""


def rows_to_feeds(rows: Rows, inputs: Sequence[Field]) -> dict[str, np.ndarray]:
    """The tensors a graph takes, from N rows.

    Numbers, booleans, decimals and numeric text become floats; integers, booleans and text become text; dates, times,
    ISO 8601 text (UTC where it has no zone) and integers (microseconds since 1970) become int64 microseconds; numpy's
    scalars are what they hold. None, NaN, NaT and '' mean missing, and so does a key that a row lacks. Keys the model
    does not know are ignored.

    Returns:
        for each field its name and an array of shape (N, 1) and the field's tensor type.

    Raises:
        DataError: names every column that no row has and that may not be missing, and every one that cannot be
            converted, with its first bad value and row.
        UsageError: a row is no mapping.

    >>> feeds = rows_to_feeds([{"age": 1}, {"age": None}], [Field("age", "number", "float32")])
    >>> feeds["age"].tolist(), feeds["age"].dtype
    ([[1.0], [nan]], dtype('float32'))
    """
    for i, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise UsageError(f"row {i} is a {type(row).__name__}, not a dict", fix="give a list of dicts")
    found: dict[str, np.ndarray] = {}
    faults: list[str] = []
    for field in inputs:
        if rows and not field.nullable and not any(field.name in row for row in rows):
            hint = did_you_mean(field.name, dict.fromkeys(key for row in rows for key in row))
            faults.append(f"the data has no column '{field.name}' ({hint or 'it has no columns'})")
            continue
        values = [row.get(field.name) for row in rows]
        try:
            found[field.name] = _tensor(values, field)
        except _WrongError:
            faults.append(_fault(values, field))
    if faults:
        raise refused(faults)
    return found


def _tensor(values: list[Any], field: Field) -> np.ndarray:
    """The (N, 1) tensor of a column."""
    made = _COLUMNS[field.dtype](values, field)
    with np.errstate(over="ignore"):  # a number beyond float32 is infinite
        return made.astype(NUMPY[field.tensor], copy=False).reshape(-1, 1)


def _fault(values: list[Any], field: Field) -> str:
    """What is wrong with a column that was refused: its first bad value."""
    for row, value in enumerate(values):
        try:
            _COLUMNS[field.dtype]([value], field)
        except _WrongError:
            return f"column '{field.name}', row {row}: {shown(value)} is no {field.dtype}"
    raise AssertionError(field.name)


def _is_missing(value: Any) -> bool:
    if value is None:
        return True
    try:
        return bool(value != value)
    except (TypeError, ValueError):  # pandas' NA has no truth value; neither has an array, which is no value
        return type(value).__name__ == "NAType"
    except ArithmeticError:  # a signalling NaN
        return True


def _plain(value: Any) -> Any:
    """A numpy scalar as Python's; times stay as they are."""
    timed = isinstance(value, np.datetime64 | np.timedelta64)
    return value.item() if isinstance(value, np.generic) and not timed else value


def _numbers(values: list[Any], field: Field) -> np.ndarray:
    truth = field.dtype == "boolean"
    if not _NUMBERS.issuperset(map(type, values)):
        values = [_number(value, truth) for value in values]
    try:
        made = np.array(values, dtype=np.float64)  # None becomes NaN
    except OverflowError:
        raise _WrongError from None
    if truth and not (np.isnan(made) | (made == 0) | (made == 1)).all():
        raise _WrongError
    return made


def _number(value: Any, truth: bool) -> float:
    if _is_missing(value):
        return float("nan")
    value = _plain(value)
    if isinstance(value, str):
        return _from_text(value.strip(), truth)
    if not isinstance(value, bool | int | float | Decimal):
        raise _WrongError
    try:
        return float(value)
    except OverflowError:
        raise _WrongError from None


def _from_text(text: str, truth: bool) -> float:
    if not text:
        return float("nan")
    if truth:
        if text.lower() not in _TRUTH:
            raise _WrongError
        return _TRUTH[text.lower()]
    if not _NUMBER.fullmatch(text):
        raise _WrongError
    return float(text)


def _texts(values: list[Any], field: Field) -> np.ndarray:
    made = np.empty(len(values), dtype=object)
    if _TEXTS.issuperset(map(type, values)):
        made[:] = ["" if value is None else value for value in values]
    else:
        made[:] = [_text(value) for value in values]
    return made


def _text(value: Any) -> str:
    if _is_missing(value):
        return ""
    value = _plain(value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(int(value))
    raise _WrongError


def _moments(values: list[Any], field: Field) -> np.ndarray:
    return np.array([_moment(value) for value in values], dtype=np.int64)


def _moment(value: Any) -> int:
    if isinstance(value, np.datetime64):
        return int(value.astype("datetime64[us]").astype(np.int64))  # NaT is what a missing time is to us
    if _is_missing(value):
        return MISSING_TIMESTAMP
    value = _plain(value)
    if isinstance(value, dt.datetime):
        return since_1970(value)
    if isinstance(value, dt.date):
        return since_1970(dt.datetime(value.year, value.month, value.day))
    if isinstance(value, int) and not isinstance(value, bool) and -_MOST <= value < _MOST:
        return int(value)
    if not isinstance(value, str):
        raise _WrongError
    try:
        found = microseconds(value)
    except (ValueError, OverflowError):
        raise _WrongError from None
    return MISSING_TIMESTAMP if found is None else found


_COLUMNS: Mapping[str, Callable[[list[Any], Field], np.ndarray]] = {
    "boolean": _numbers,
    "integer": _numbers,
    "number": _numbers,
    "string": _texts,
    "timestamp": _moments,
}
