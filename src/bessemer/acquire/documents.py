"""From BSON's values to values that have a place in a table."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any


class Documents:
    """Makes rows of documents: documents in them and lists as JSON text, ids and what tables do not know as text.

    binary: the fields whose bytes were left out, in the order they came in.
    """

    def __init__(self) -> None:
        self.binary: dict[str, None] = {}

    def row(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """
        >>> Documents().row({"n": 1, "tags": ["a"], "photo": b"..."})
        {'n': 1, 'tags': '["a"]'}
        """
        row = {name: _cell(value) for name, value in document.items()}
        if found := [name for name, value in row.items() if isinstance(value, bytes)]:
            self.binary |= dict.fromkeys(found)
            row = {name: value for name, value in row.items() if not isinstance(value, bytes)}
        return row


def _cell(value: Any) -> Any:
    """
    >>> from bson import Decimal128, ObjectId
    >>> _cell(Decimal128("2.50")), _cell(ObjectId("65a1b2c3d4e5f60718293a4b")), _cell({"a": [1, None]})
    (Decimal('2.50'), '65a1b2c3d4e5f60718293a4b', '{"a": [1, null]}')
    """
    if isinstance(value, int) and not isinstance(value, bool):  # BSON's Int64 is a class of its own
        return int(value)
    if value is None or isinstance(value, bool | float | str | dt.datetime):
        return value
    if isinstance(value, Mapping | list):
        return json.dumps(value, ensure_ascii=False, default=_json)
    return _scalar(value)


def _scalar(value: Any) -> Any:
    from bson import Decimal128, MaxKey, MinKey, Regex, Timestamp
    from bson.datetime_ms import DatetimeMS

    if isinstance(value, Decimal128):
        return _decimal(value.to_decimal())
    if isinstance(value, Timestamp):
        return value.as_datetime()
    if isinstance(value, DatetimeMS):  # a time that Python has no year for
        return None
    if isinstance(value, bytes):
        return bytes(value)
    if isinstance(value, MinKey | MaxKey):
        return type(value).__name__
    if isinstance(value, Regex):
        return str(value.pattern)
    return str(value)


def _decimal(value: Decimal) -> Decimal | float:
    return value if value.is_finite() else float(value)


def _json(value: Any) -> Any:
    """What JSON has no word for: times as ISO 8601, bytes as hexadecimal digits, the rest as in a column."""
    if isinstance(value, dt.datetime):
        return value.isoformat()
    made = _scalar(value)
    if isinstance(made, Decimal):
        return float(made) if made.as_tuple().exponent else int(made)
    if isinstance(made, bytes):
        return made.hex()
    return made.isoformat() if isinstance(made, dt.datetime) else made
