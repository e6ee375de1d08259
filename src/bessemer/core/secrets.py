"""Secrets, which stand in the environment and nowhere else."""

from __future__ import annotations

import os

from bessemer.core.errors import UsageError


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
    return value
