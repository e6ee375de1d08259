"""What decides which rows a source has: where it is and what is asked of it, and no secret."""

from __future__ import annotations

import re
from typing import Any

from bessemer.core import canonical
from bessemer.core.redaction import without_password
from bessemer.core.secrets import expanded

#: Of `incremental`: they change when rows are read, and not which there are.
_WHEN = ("overlap", "full")
_PASSWORD = re.compile(r"(://[^:/@\s]*):\$\{\w+\}@")


def identity(options: Any, setting: str) -> Any:
    """The options of a source as plain data; another one means that what was read before is of no use.

    A variable that is a part of an address is taken from the environment, because another host has other rows; a
    password is left out, so that a new one changes nothing.

    Args:
        setting: where they stand in the project file.

    Raises:
        ProjectError: a variable is not set.
    """
    plain = canonical.plain(options)
    plain["incremental"] = {k: v for k, v in plain["incremental"].items() if k not in _WHEN}
    return _resolved(plain, setting)


def _resolved(value: Any, setting: str) -> Any:
    """
    >>> _resolved({"sql": "postgres://me:${PASSWORD}@db/shop"}, "")
    {'sql': 'postgres://me@db/shop'}
    """
    if isinstance(value, dict):
        return {name: _resolved(each, f"{setting}.{name}") for name, each in value.items()}
    if isinstance(value, list):
        return [_resolved(each, setting) for each in value]
    if isinstance(value, str) and "${" in value:
        found = expanded(_PASSWORD.sub(r"\1@", value), setting)
        return without_password(found) if "://" in found else value
    return value
