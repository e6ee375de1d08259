"""JSON that somebody else wrote, read with an end to its size and depth."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def loads(data: bytes) -> dict[str, Any]:
    """The object in these bytes.

    Raises:
        ValueError: they are no JSON object. RecursionError: it is nested too deeply.
    """
    value = json.loads(data.decode("utf-8-sig"))
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


def keys_of(head: bytes) -> str:
    """The beginning of a JSON object without white space, to be looked at; '' for what is none.

    >>> keys_of(b'{ "learner":\\n {"a" ')
    '{"learner":{"a"'
    """
    text = head.decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
    return "".join(text.split()) if text.startswith("{") else ""


def at(value: Any, *path: str) -> Any:
    """What stands at a path of names.

    Raises:
        ValueError: nothing does.
    """
    for name in path:
        if not isinstance(value, Mapping) or name not in value:
            raise ValueError(f"there is no '{'.'.join(path)}'")
        value = value[name]
    return value
