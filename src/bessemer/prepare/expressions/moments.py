"""Constant points in time, constant intervals, and the units of time."""

from __future__ import annotations

import datetime as dt
import re

from bessemer.core.errors import did_you_mean
from bessemer.prepare.expressions.tree import FIRST_MICROSECOND, LAST_MICROSECOND, Refusal

#: Microseconds in the units of one length.
LENGTHS = {
    "microsecond": 1,
    "millisecond": 1_000,
    "second": 1_000_000,
    "minute": 60_000_000,
    "hour": 3_600_000_000,
    "day": 86_400_000_000,
    "week": 604_800_000_000,
}

#: What extract and date_part can give; the first of each group is the name used inside.
_PARTS = (
    ("year", "years"),
    ("quarter", "quarters"),
    ("month", "months", "mon", "mons"),
    ("day", "days", "d", "dayofmonth"),
    ("hour", "hours", "h", "hr", "hrs"),
    ("minute", "minutes", "min", "mins", "m"),
    ("second", "seconds", "sec", "secs", "s"),
    ("dow", "dayofweek", "weekday"),
    ("isodow",),
    ("doy", "dayofyear"),
    ("week", "weeks", "w", "weekofyear"),
    ("epoch",),
)
PARTS = {name: names[0] for names in _PARTS for name in names}

TRUNCATIONS = ("second", "minute", "hour", "day", "week", "month", "quarter", "year")
DIFFERENCES = ("microsecond", "millisecond", "second", "minute", "hour", "day", "month", "quarter", "year")
ELAPSED = ("microsecond", "millisecond", "second", "minute", "hour", "day")

_EPOCH = dt.datetime(1970, 1, 1)
_MOMENT = re.compile(
    r"(\d{4})-(\d{1,2})-(\d{1,2})(?:[ T](\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d{1,6}))?)?)?", re.ASCII
)
_AMOUNT = re.compile(r"\s*([+-]?\d{1,18})\s*([A-Za-z]+)", re.ASCII)


def parse_moment(text: str) -> int:
    """Microseconds since 1970-01-01 of a constant timestamp or date, which is UTC.

    >>> parse_moment("1970-01-02"), parse_moment("1969-12-31 23:59:59.5")
    (86400000000, -500000)

    Raises:
        Refusal: it is not written as YYYY-MM-DD, with HH:MM[:SS[.ffffff]] after it or not, or is no such moment.
    """
    found = _MOMENT.fullmatch(text.strip())
    if not found:
        fix = "write '2013-01-31' or '2013-01-31 18:05:00'; times are UTC, without a zone"
        raise Refusal(f"'{text}' is not a timestamp", fix)
    *whole, fraction = found.groups()
    year, month, day, hour, minute, second = (int(part or 0) for part in whole)
    micros = int((fraction or "0").ljust(6, "0"))
    try:
        moment = dt.datetime(year, month, day, hour, minute, second, micros)
    except ValueError as error:
        raise Refusal(f"'{text}' is not a timestamp: {error}") from None
    return (moment - _EPOCH) // dt.timedelta(microseconds=1)


def write_moment(microseconds: int) -> str:
    """The SQL constant of a moment.

    >>> write_moment(-500000)
    "TIMESTAMP '1969-12-31 23:59:59.500000'"
    """
    return f"TIMESTAMP '{(_EPOCH + dt.timedelta(microseconds=microseconds)).isoformat(' ', 'microseconds')}'"


def parse_interval(text: str) -> int:
    """Microseconds of a constant interval such as '90 minutes' or '1 day 2 hours'.

    >>> parse_interval("1 day -2 hours")
    79200000000

    Raises:
        Refusal: not a whole number of weeks, days, hours, minutes, seconds, or out of range.
    """
    total = position = 0
    while position < len(text.rstrip()):
        found = _AMOUNT.match(text, position)
        if not found:
            raise Refusal(f"'{text}' is not an interval", "write it as INTERVAL '90 minutes'")
        total += int(found.group(1)) * LENGTHS[_length_unit(found.group(2))]
        position = found.end()
    if abs(total) > LAST_MICROSECOND - FIRST_MICROSECOND:
        raise Refusal(f"the interval '{text}' is longer than 10,000 years")
    return total


def _length_unit(word: str) -> str:
    name = word.lower().removesuffix("s")
    if name in {"month", "mon", "quarter", "year", "decade", "century", "millennium"}:
        raise Refusal(
            f"an interval of '{word}' has no fixed length",
            "use days, or date_trunc and date_diff, which know the calendar",
        )
    name = PARTS.get(name, name)
    if name not in LENGTHS:
        raise Refusal(f"'{word}' is not a unit of an interval", did_you_mean(word, LENGTHS))
    return name


def unit(word: str, allowed: tuple[str, ...], where: str) -> str:
    """The unit's name, whichever way it was written.

    >>> unit("Hours", DIFFERENCES, "date_diff")
    'hour'
    """
    name = word.lower()
    name = PARTS.get(name, name)
    name = name if name in allowed else name.removesuffix("s")
    if name not in allowed:
        raise Refusal(f"{where} has no unit '{word}'", did_you_mean(word, allowed))
    return name
