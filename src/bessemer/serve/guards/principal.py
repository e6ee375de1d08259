"""Who asks: the name, what it may do, how often."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bessemer.serve.guards.mark import Mark

MOST_NAME = 128
_UNPRINTABLE = re.compile(r"[^\x21-\x7e]+")


@dataclass(frozen=True, slots=True)
class Rate:
    """A limit: `per_second` requests in the long run (> 0), `burst` at once (>= 1)."""

    per_second: float
    burst: int

    def shared(self, workers: int) -> Rate:
        """The part of each of several processes; a burst is at least one request.

        >>> Rate(100.0, 200).shared(4)
        Rate(per_second=25.0, burst=50)
        """
        return Rate(self.per_second / workers, max(1, self.burst // workers))


@dataclass(frozen=True, slots=True)
class Principal:
    """A client that was let in.

    name: what logs may show, never a secret: a key's name, `jwt:SUBJECT`, `certificate:NAME`, '' for nobody.
    scopes: what it may do.
    rate: its own limit, None where it has the server's.
    credential: of a key the first 16 hexadecimal digits of its SHA-256; since: of a token when its user last proved
    who they are (`auth_time`), Unix seconds. Both tell whether a credential was renewed.
    mark: what marks its answers, where it is suspected. action: what is done to it, for the access log.
    """

    name: str
    scopes: frozenset[str]
    rate: Rate | None = None
    credential: str = ""
    since: float = 0.0
    mark: Mark | None = None
    action: str = ""


def clean_name(text: str) -> str:
    """A name from outside as it may stand in a log: printable ASCII, one line, at most 128 characters.

    >>> clean_name("shop\\nroot"), len(clean_name("x" * 1000))
    ('shop?root', 128)
    """
    return _UNPRINTABLE.sub("?", text[: MOST_NAME * 2])[:MOST_NAME]


def client_name(text: str) -> str:
    """A name from outside by which a client is known: as it may stand in a log, and another one for every other text.

    Where something had to be replaced, eight digits of a hash of the whole follow.

    >>> client_name("shop"), client_name("田中") != client_name("佐藤"), client_name("a b")
    ('shop', True, 'a?b~c8687a08')
    """
    clean = clean_name(text)
    if clean == text:
        return clean
    return f"{clean[: MOST_NAME - 9]}~{sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
