"""What a server says when it refuses a request.

RequestError     any refusal: a status (4xx or 5xx), what, why, fix, and the faults in the rows
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bessemer.core.errors import BessemerError

log = logging.getLogger("bessemer.serve")

MOST_FAULTS = 20
_MOST_CHARACTERS = 80
_MOST_DEPTH = 8


def shown(value: Any) -> str:
    """A value of a request as it may stand in a message: short, and on one line.

    >>> shown("x" * 200)[:4], len(shown("x" * 200))
    ("'xxx", 80)
    """
    text = ""
    for piece in _pieces(value, _MOST_DEPTH):
        text += piece
        if len(text) > _MOST_CHARACTERS:
            return text[: _MOST_CHARACTERS - 1] + "…"
    return text


def _pieces(value: Any, depth: int) -> Iterator[str]:
    """The representation of a value, piece by piece: it may be megabytes long, or a thousand lists deep."""
    if isinstance(value, str | bytes):
        yield repr(value[: _MOST_CHARACTERS + 1])
    elif not isinstance(value, dict | list):
        yield repr(value)
    elif depth == 0:
        yield "…"
    else:
        pairs = isinstance(value, dict)
        begin, end = "{}" if pairs else "[]"
        yield begin
        for number, each in enumerate(value.items() if isinstance(value, dict) else value):
            yield ", " if number else ""
            if pairs:
                yield from _pieces(each[0], depth - 1)
                yield ": "
            yield from _pieces(each[1] if pairs else each, depth - 1)
        yield end


@dataclass(frozen=True)
class RowFault:
    """One fault in the rows of a request: which row (from 0; None: the whole column), field and value."""

    row: int | None
    field: str
    what: str
    value: str = ""
    fix: str = ""

    def __str__(self) -> str:
        where = ", ".join(
            part
            for part in ("" if self.row is None else f"row {self.row}", f"'{self.field}'")
            if part != "''"
        )
        return f"{where}: {self.what}" + (f" ({self.fix})" if self.fix else "")

    def to_json(self) -> dict[str, Any]:
        facts = {
            "row": self.row,
            "field": self.field,
            "value": self.value,
            "what": self.what,
            "fix": self.fix,
        }
        return {name: value for name, value in facts.items() if value not in (None, "")}


class RequestError(BessemerError):
    """A request that is refused.

    status: the HTTP status, 400 to 599.
    faults: what is wrong in which row; at most `MOST_FAULTS` are kept; `more`: whether there are others.
    headers: headers the answer must have (Allow, Retry-After).
    client, action: who was refused because they are suspected, and how, for the access log; '' for all others.

    >>> print(RequestError(413, "12 rows are more than 10", fix="send fewer").line)
    12 rows are more than 10 (send fewer)
    """

    def __init__(
        self,
        status: int,
        what: str,
        *,
        why: str = "",
        fix: str = "",
        faults: Sequence[RowFault] = (),
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(what, why=why, fix=fix)
        self.status = status
        self.client = self.action = ""
        self.faults = tuple(faults[:MOST_FAULTS])
        self.more = len(faults) > MOST_FAULTS
        self.headers = headers

    @property
    def line(self) -> str:
        """The whole error on one line, for protocols whose errors are one text."""
        text = "; ".join([self.what, *map(str, self.faults)])
        if self.more:
            text += "; and more"
        if self.why:
            text += f": {self.why}"
        return text + (f" ({self.fix})" if self.fix else "")


def bad_rows(faults: Sequence[RowFault]) -> RequestError:
    """The refusal of a request whose rows have faults."""
    count = len(faults)
    number = f"more than {MOST_FAULTS}" if count > MOST_FAULTS else str(count)
    return RequestError(400, f"the request has {number} fault{'' if count == 1 else 's'}", faults=faults)


def failure(where: str) -> RequestError:
    """Called while an exception is handled: the log gets it under a number, the client the number."""
    number = uuid.uuid4().hex[:12]
    log.exception("error %s at %s", number, where)
    return RequestError(500, f"internal error {number}", fix="see the server's log")
