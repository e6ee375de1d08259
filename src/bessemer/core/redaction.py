"""Secrets that were read from the environment are taken out of everything that is shown or written down.

A client may put a password into the text of its error. Whoever reads a secret says so here, once, and every error of
Bessemer, note and record is made without it.
"""

from __future__ import annotations

import re

_SHOWN = "***"
#: Shorter texts stand in too many words to be taken out of them.
_SHORTEST = 4
_secrets: set[str] = set()


def remember(value: str) -> str:
    """Note a secret; gives it back."""
    if len(value) >= _SHORTEST:
        _secrets.add(value)
    return value


def hidden(text: str) -> str:
    """The text without the secrets that were read, and without passwords in URLs.

    >>> remember("correct-horse") and hidden("login of me:correct-horse failed")
    'login of me:*** failed'
    >>> hidden("postgres://me:secret@host/db")
    'postgres://me:***@host/db'
    """
    for value in sorted(_secrets, key=len, reverse=True):
        text = text.replace(value, _SHOWN)
    return without_password(text)


def without_password(url: str) -> str:
    """The URL as it may be shown.

    >>> without_password("postgres://me:p:ss@host/db")
    'postgres://me:***@host/db'
    """
    return re.sub(r"(://[^:/@\s]*):[^@/\s]*@", rf"\1:{_SHOWN}@", url)
