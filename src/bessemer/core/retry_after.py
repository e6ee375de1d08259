"""What a server that is busy asks for (RFC 9110, Retry-After)."""

from __future__ import annotations

import datetime as dt
from email.utils import parsedate_to_datetime

#: Seconds: whoever asks for more says never.
LONGEST = 1e9


def retry_after(header: str | None, now: dt.datetime | None = None) -> float | None:
    """The seconds that a Retry-After header asks for: a number of them, or a date; `LONGEST` at most. None where it
    says neither.

    >>> retry_after("7"), retry_after("soon")
    (7.0, None)
    >>> retry_after("Wed, 21 Oct 2015 07:28:05 GMT", dt.datetime(2015, 10, 21, 7, 28, tzinfo=dt.UTC))
    5.0
    """
    if not header:
        return None
    if header.strip().isdecimal():
        return min(float(header), LONGEST)
    try:
        when = parsedate_to_datetime(header)
    except (ValueError, OverflowError):  # the header is somebody else's: its numbers may be of any size
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=dt.UTC)
    return min(LONGEST, max(0.0, (when - (now or dt.datetime.now(dt.UTC))).total_seconds()))
