"""Secrets, which stand in the environment and nowhere else."""

from __future__ import annotations

import os
import re

from bessemer.core.errors import Fault, ProjectError, UsageError
from bessemer.core.redaction import remember


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

    Args:
        setting: where in the project file the text stands, such as 'acquire.sources.orders.sql'.

    Raises:
        ProjectError: a variable is not set, and the text is of a project file. UsageError: it is not of one.

    >>> expanded("no names in it")
    'no names in it'
    """

    def value(match: re.Match[str]) -> str:
        if match[1] in os.environ:
            return remember(os.environ[match[1]])
        what, fix = f"the environment variable {match[1]} is not set", f"export {match[1]}=..."
        raise ProjectError([Fault(setting, None, what, fix)]) if setting else UsageError(what, fix=fix)

    return re.sub(r"\$\{(\w+)\}", value, text)
