"""What shows that an address has the content it had: strong validators of HTTP (RFC 9110, section 8.8)."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime

#: How much older than the answer a Last-Modified must be: within a second a file may change twice.
_SECONDS = 60.0


def validator_of(headers: Mapping[str, str]) -> str:
    """The ETag or the Last-Modified of an answer, where equal ones mean equal bytes; '' where none does.

    A weak ETag means that the content is as good as equal: it counts for nothing here. A Last-Modified counts when the
    answer is a minute younger.

    >>> validator_of({"etag": '"ab"'}), validator_of({"etag": 'W/"ab"'})
    ('"ab"', '')
    >>> dates = {"last-modified": "Wed, 21 Oct 2015 07:28:00 GMT", "date": "Wed, 21 Oct 2015 07:30:00 GMT"}
    >>> validator_of(dates)
    'Wed, 21 Oct 2015 07:28:00 GMT'
    """
    tag = headers.get("etag", "").strip()
    if tag.startswith('"'):
        return tag
    modified, date = headers.get("last-modified", ""), headers.get("date", "")
    try:
        age = (parsedate_to_datetime(date) - parsedate_to_datetime(modified)).total_seconds()
    except (TypeError, ValueError):
        return ""
    return modified if age >= _SECONDS and not tag else ""
