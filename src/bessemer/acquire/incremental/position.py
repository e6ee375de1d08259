"""How far a source was read: the greatest value of its cursor column, and the SQL that deals with it."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from typing import Any

from bessemer.acquire.options import Incremental
from bessemer.core.errors import DataError
from bessemer.core.sql import literal, quote

Position = int | float | str | dt.datetime

_TIMES = ("TIMESTAMP", "DATE", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE")
_FLOATS = ("DOUBLE", "FLOAT")


def kind_of_type(duckdb_type: str) -> str:
    """What a cursor of a type is: `number`, `text` or `time`; '' where it cannot be one.

    >>> kind_of_type("DECIMAL(18,3)"), kind_of_type("DATE"), kind_of_type("BLOB")
    ('number', 'time', '')
    """
    if duckdb_type in _TIMES:
        return "time"
    if duckdb_type in _FLOATS or duckdb_type.startswith("DECIMAL") or duckdb_type.endswith("INT"):
        return "number"
    return {"VARCHAR": "text", "INTEGER": "number", "UINTEGER": "number"}.get(duckdb_type, "")


def kind_of(position: Position) -> str:
    """
    >>> kind_of(3), kind_of("a")
    ('number', 'text')
    """
    if isinstance(position, str):
        return "text"
    return "time" if isinstance(position, dt.datetime) else "number"


def ordered(cursor: str, duckdb_type: str) -> str:
    """The cursor as an expression that orders rows: not a number is no value."""
    c = quote(cursor)
    return f"nullif({c}, CAST('nan' AS {duckdb_type}))" if duckdb_type in _FLOATS else c


def greatest(
    connection: Any, relation: str, cursor: str, duckdb_type: str, until: dt.datetime
) -> Position | None:
    """The greatest finite value of the cursor in a relation; None where there is none.

    Times are in UTC. Decimals are the integer they are, or the greatest double that is not above them.

    Args:
        until: times after it are left out: nothing would ever be new after the year 9999.
    """
    c = quote(cursor)
    finite = f"isfinite({c})" if duckdb_type in (*_TIMES, *_FLOATS) else "true"
    if duckdb_type in _TIMES:
        finite += f" AND NOT ({from_then(cursor, duckdb_type, until)})"
    value = f"max({c}) FILTER (WHERE {finite})"
    if duckdb_type in _TIMES:
        # below microseconds Python knows nothing: one less is before all that is meant
        less = " - INTERVAL 1 MICROSECOND" if duckdb_type == "TIMESTAMP_NS" else ""
        zoned = f"timezone('UTC', {value})" if duckdb_type.endswith("ZONE") else f"CAST({value} AS TIMESTAMP)"
        value = f"{zoned}{less}"
    found = connection.execute(f"SELECT {value} FROM {relation}").fetchone()[0]
    if isinstance(found, dt.datetime):
        return found.replace(tzinfo=dt.UTC)
    return _number(found) if isinstance(found, Decimal) else found


def ahead(connection: Any, relation: str, cursor: str, duckdb_type: str, until: dt.datetime) -> int:
    """How many rows of a relation have a finite time as cursor that is `until` or after it."""
    if duckdb_type not in _TIMES:
        return 0
    rows = f"isfinite({quote(cursor)}) AND {from_then(cursor, duckdb_type, until)}"
    return int(connection.execute(f"SELECT count(*) FROM {relation} WHERE {rows}").fetchone()[0])


def _number(value: Decimal) -> int | float:
    """
    >>> _number(Decimal("3.00")), _number(Decimal("0.3")) <= Decimal("0.3")
    (3, True)
    """
    if value == int(value):
        return int(value)
    near = float(value)
    return math.nextafter(near, -math.inf) if Decimal(near) > value else near


def start(position: Position, asked: Incremental, source: str) -> Position:
    """Where reading goes on: the position, or as far before it as rows may be late.

    Raises:
        DataError: an overlap is asked of a cursor that has no times.
    """
    if not asked.overlap:
        return position
    if not isinstance(position, dt.datetime):
        raise DataError(
            f"`incremental.overlap` of source '{source}' is a length of time, and '{asked.cursor}' has no times",
            fix="leave `overlap` out, or name a column of times as `cursor`",
        )
    try:
        return position - dt.timedelta(seconds=asked.overlap)
    except OverflowError:
        return dt.datetime.min.replace(tzinfo=dt.UTC)


def from_then(cursor: str, duckdb_type: str, after: Position) -> str:
    """The condition for rows whose cursor is `after` or greater.

    >>> from_then("id", "BIGINT", 7)
    '"id" >= 7'
    """
    if isinstance(after, dt.datetime):
        zone = "+00" if duckdb_type.endswith("ZONE") else ""
        kind = "TIMESTAMPTZ" if zone else "TIMESTAMP"
        text = after.astimezone(dt.UTC).replace(tzinfo=None).isoformat(" ") + zone
        return f"{quote(cursor)} >= CAST({literal(text)} AS {kind})"
    if isinstance(after, float):
        return f"CAST({quote(cursor)} AS DOUBLE) >= CAST('{after!r}' AS DOUBLE)"
    return f"{quote(cursor)} >= {after if isinstance(after, int) else literal(after)}"


def to_json(position: Position | None) -> dict[str, Any] | None:
    """
    >>> from_json(to_json(dt.datetime(2024, 1, 1, tzinfo=dt.UTC))).year
    2024
    """
    if isinstance(position, dt.datetime):
        return {"time": position.isoformat()}
    return None if position is None else {"value": position}


def from_json(value: dict[str, Any] | None) -> Any:
    if value is None:
        return None
    return dt.datetime.fromisoformat(value["time"]) if "time" in value else value["value"]
