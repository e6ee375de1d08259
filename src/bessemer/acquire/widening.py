"""From values of any Python type to typed columns, where nothing says beforehand what a column has.

A column's type is remembered from batch to batch and only ever becomes wider. What came before in a narrower type is
widened by DuckDB when the batches are put together, so values that become text here have the text DuckDB gives them.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from bessemer.core.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

Kind = Literal["boolean", "integer", "number", "date", "time", "text"]
_LEAST, _GREATEST = -(2**63), 2**63 - 1
_EXACT = 2**53


def joined(one: Kind, other: Kind) -> Kind:
    """The kind that holds values of both.

    >>> joined("integer", "number"), joined("date", "time"), joined("boolean", "integer")
    ('number', 'time', 'text')
    """
    if one == other:
        return one
    if {one, other} == {"integer", "number"}:
        return "number"
    return "time" if {one, other} == {"date", "time"} else "text"


def kind_of_value(value: Any, whole: bool = False) -> Kind:
    """The narrowest kind of a value that is not None; lists, mappings, bytes and what has no kind are text.

    Args:
        whole: a float without decimal places is an integer (a spreadsheet knows no integers).

    >>> kind_of_value(5.0), kind_of_value(5.0, whole=True), kind_of_value(Decimal("5")), kind_of_value([1])
    ('number', 'integer', 'integer', 'text')
    """
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer" if _LEAST <= value <= _GREATEST else "number"
    if isinstance(value, float):
        return "integer" if whole and value.is_integer() and abs(value) <= _EXACT else "number"
    if isinstance(value, Decimal):
        fits = value.is_finite() and value == value.to_integral_value() and _LEAST <= value <= _GREATEST
        return "integer" if fits and int(value.as_tuple().exponent) >= 0 else "number"
    if isinstance(value, dt.datetime):
        return "time"
    if isinstance(value, dt.date):
        return "date"
    if isinstance(value, dt.timedelta | dt.time):
        return "number"
    return "text"


def _seconds(value: dt.timedelta | dt.time) -> float:
    if isinstance(value, dt.timedelta):
        return value.total_seconds()
    return value.hour * 3600 + value.minute * 60 + value.second + value.microsecond / 1e6


def _number(value: Any) -> float:
    return _seconds(value) if isinstance(value, dt.timedelta | dt.time) else float(value)


def _time(value: Any) -> dt.datetime:
    """Naive and in UTC."""
    if not isinstance(value, dt.datetime):
        return dt.datetime(value.year, value.month, value.day)
    return value.astimezone(dt.UTC).replace(tzinfo=None) if value.tzinfo else value


def text_of(value: Any, whole: bool = False) -> str:
    """As DuckDB would write it.

    >>> text_of(True), text_of(5.0), text_of(5.0, whole=True), text_of({"a": None})
    ('true', '5.0', '5', '{"a": null}')
    >>> text_of(dt.datetime(2024, 1, 2, 3, 4, 5, 120000))
    '2024-01-02 03:04:05.12'
    """
    if isinstance(value, str):
        return value
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, ensure_ascii=False, default=text_of)
    kind = kind_of_value(value, whole)
    if kind == "boolean":
        return str(value).lower()
    if kind == "integer":
        return str(int(value))
    if kind == "number":
        return repr(_number(value))
    if kind == "time":
        said = _time(value).isoformat(" ")
        return said.rstrip("0") if "." in said else said
    return value.hex() if isinstance(value, bytes) else str(value)


_MADE: Mapping[Kind, Callable[[Any], Any]] = {
    "boolean": bool,
    "integer": int,
    "number": _number,
    "date": lambda value: value,
    "time": _time,
}


class Widening:
    """Makes batches of rows; a column is as wide as all its values so far.

    Args:
        where: what the source is called in errors. whole: see `kind_of_value`.
    """

    def __init__(self, where: str, *, whole: bool = False) -> None:
        self._where, self._whole = where, whole
        self._kinds: dict[str, Kind | None] = {}
        self._spelled: dict[str, str] = {}

    def batch(self, rows: Sequence[Mapping[str, Any]]) -> pa.RecordBatch:
        """The rows as one batch with every column there was so far; one without any value has the type null.

        Raises:
            DataError: two names differ only by case.
        """
        import pyarrow as pa

        for name in dict.fromkeys(name for row in rows for name in row):
            self._new(name)
        arrays = [self._array(name, [row.get(name) for row in rows]) for name in self._kinds]
        return pa.record_batch(arrays, names=list(self._kinds))

    def columns(self, names: Iterable[str]) -> None:
        """Columns that are there, whether or not they have a value."""
        for name in names:
            self._new(name)

    def _new(self, name: str) -> None:
        known = self._spelled.setdefault(name.lower(), name)
        if known != name:
            raise DataError(
                f"'{self._where}' has the columns '{known}' and '{name}'",
                why="upper and lower case are the same to SQL",
                fix="leave one of them out, or rename it at the source",
            )
        self._kinds.setdefault(name, None)

    def _array(self, name: str, values: list[Any]) -> pa.Array:
        import pyarrow as pa

        kind = self._kinds[name]
        for value in values:
            if value is not None and kind != "text":
                found = kind_of_value(value, self._whole)
                kind = found if kind is None else joined(kind, found)
        self._kinds[name] = kind
        if kind is None:
            return pa.nulls(len(values))
        if kind == "text":
            return pa.array([None if v is None else text_of(v, self._whole) for v in values], pa.string())
        made = _MADE[kind]
        return pa.array([None if v is None else made(v) for v in values], _arrow(kind))


def _arrow(kind: Kind) -> pa.DataType:
    import pyarrow as pa

    types: Mapping[str, pa.DataType] = {
        "boolean": pa.bool_(),
        "integer": pa.int64(),
        "number": pa.float64(),
        "date": pa.date32(),
        "time": pa.timestamp("us"),
    }
    return types[kind]
