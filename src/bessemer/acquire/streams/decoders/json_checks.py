"""What is looked at in the bytes of JSON before a parser may have them, and what parsers differ in."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

#: Objects and lists within each other: Arrow's parser goes down by the stack, and ends the process where that ends.
DEEPEST = 500
_DIGITS = 4300
_OTHERS = bytes(set(range(256)) - set(b'"[]{}'))


def objects(values: Sequence[bytes], lines: bytes, flat: bool) -> bool:
    """Whether each message at least begins and ends as an object does.

    Then no object can go over several messages, as a line break in a text and `}` before `{` are no JSON: where as
    many objects are found as there are messages, each message is one.

    Args:
        lines: the messages with line breaks between them. flat: whether there are no others.
    """
    if flat:
        return lines[:1] == b"{" and lines[-1:] == b"}" and lines.count(b"}\n{") == len(values) - 1
    return all(value[:1] == b"{" and value[-1:] == b"}" for value in values)


def utf8(lines: bytes) -> bool:
    """Whether it is UTF-8: Arrow's parser takes the bytes of a text as they are."""
    if lines.isascii():
        return True
    try:
        lines.decode()
    except UnicodeDecodeError:
        return False
    return True


def deep(value: bytes) -> bool:
    """Whether more objects and lists are within each other than `DEEPEST`; brackets in texts do not count."""
    # each has an end: a shorter message is not that deep, or is no JSON
    if len(value) <= 2 * DEEPEST or value.count(b"{") + value.count(b"[") <= DEEPEST:
        return False
    import numpy as np

    if b"\\" in value:
        value = re.sub(rb"\\.", b"", value, flags=re.DOTALL)
    marks = np.frombuffer(re.sub(rb'"[^"]*"?', b"", value.translate(None, _OTHERS)), np.uint8)
    steps = np.where((marks == ord("{")) | (marks == ord("[")), 1, -1)
    return bool(len(steps)) and int(steps.cumsum().max()) > DEEPEST


def whole(digits: str) -> int | float:
    """An integer; infinity where it has more digits than Python reads, as Arrow's parser has it then."""
    return int(digits) if len(digits) < _DIGITS else math.inf


def infinite(message: Mapping[str, Any], wanted: Mapping[str, Any] | None) -> str:
    """What is wrong with the first field to keep that has an infinite number; '' where there is none."""
    return next(
        (
            f"{name}: the number is too large, or infinite"
            for name, value in message.items()
            if isinstance(value, float) and math.isinf(value) and (wanted is None or name in wanted)
        ),
        "",
    )
