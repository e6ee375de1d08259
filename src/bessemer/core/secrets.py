"""Secrets, which stand in the environment and nowhere else."""

from __future__ import annotations

import os
import re
from urllib.parse import quote

from bessemer.core.errors import Fault, ProjectError, UsageError
from bessemer.core.redaction import remember
from bessemer.core.secret_forms import passwords_in

_LITERAL = re.compile(
    r"://[^/@]*?:(?!\$\{\w+\}@)[^@/?]+@|\b(?:ssl)?password\s*=\s*(?!\$\{\w+\})\S", re.IGNORECASE
)


def secret(variable: str, what: str) -> str:
    """The value of an environment variable.

    Args:
        what: what it has, for the message: 'the URL of slack'.

    Raises:
        UsageError: it is not set.
    """
    value = os.environ.get(variable, "").strip()
    if not value:
        raise UsageError(
            f"the environment variable {variable} is not set",
            why=f"it has {what}",
            fix=f"export {variable}=...",
        )
    return remember(value)


def expanded(text: str, setting: str = "") -> str:
    """The text with each ${NAME} taken from the environment, so that no password is written into a file.

    As the user or the password of a URL a value is percent-encoded: it stands in the environment as it is.

    Args:
        setting: where in the project file the text stands, such as 'acquire.sources.orders.sql'.

    Raises:
        ProjectError: a variable is not set, and the text is of a project file. UsageError: it is not of one.

    >>> expanded("no names in it")
    'no names in it'
    >>> os.environ["SHOP_PASSWORD"] = "p@ss/word"
    >>> expanded("postgres://me:${SHOP_PASSWORD}@host/db")
    'postgres://me:p%40ss%2Fword@host/db'
    """

    def value(match: re.Match[str]) -> str:
        if match[1] in os.environ:
            found = remember(os.environ[match[1]])
            if not _is_login(text[: match.start()], text[match.end() :]):
                return found
            # one name alone may stand for both, as in user:password
            whole = text[: match.start()].endswith("//") and text.startswith("@", match.end())
            return quote(found, safe=":" if whole else "")
        what, fix = f"the environment variable {match[1]} is not set", f"export {match[1]}=..."
        raise ProjectError([Fault(setting, None, what, fix)]) if setting else UsageError(what, fix=fix)

    found = re.sub(r"\$\{(\w+)\}", value, text)
    for password in passwords_in(found):
        remember(password)
    return found


def _is_login(before: str, after: str) -> bool:
    """Whether what stands between the two is of the user and the password of a URL."""
    return bool(re.search(r"://[^/@\s]*$", before) and re.match(r"[^/\s]*@", after))


#: What `no_literal_password` says.
LITERAL_FOUND = "a password stands in it: export it as a variable and write ${NAME} in its place"


def no_literal_password(text: str) -> str:
    """The address of a server, where no password is written in it. For the fields of options.

    Raises:
        ValueError: one is.

    >>> no_literal_password("postgresql://me:${PASSWORD}@host/db")
    'postgresql://me:${PASSWORD}@host/db'
    >>> no_literal_password("postgresql://me:abc@host/db")
    Traceback (most recent call last):
    ValueError: a password stands in it: export it as a variable and write ${NAME} in its place
    """
    if _LITERAL.search(text):
        raise ValueError(LITERAL_FOUND)
    return text
