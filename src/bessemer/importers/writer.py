"""Writes a project file people read: a key a line, short mappings on one line, SQL as a block."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

#: Longest line of a mapping or list that is written on one line.
WIDE = 96

_PLAIN = re.compile(r"(?:\.{0,2}/)*[A-Za-z_](?:[A-Za-z0-9_ ./-]*[A-Za-z0-9_.-])?")
#: Shares and durations.
_SHARE = re.compile(r"[0-9.]+(?:%|ms|s|m|h|d)")
_NOT_TEXT = frozenset({"true", "false", "null", "yes", "no", "on", "off"})


def write(keys: Mapping[str, Any], above: list[str], beside: Mapping[str, str], below: list[str]) -> str:
    """The text of a project file.

    Args:
        keys: the project file.
        above, below: lines of comments before and after it.
        beside: top-level key -> a comment on its line.

    >>> print(write({"target": "y", "train": {"params": {"l2": 1.0}}}, ["made"], {"target": "why"}, []), end="")
    # made
    target: y                         # why
    <BLANKLINE>
    train:
      params: {l2: 1.0}
    """
    lines = _comments(above)
    for key, value in keys.items():
        if isinstance(value, Mapping):
            lines += ["", f"{scalar(key)}:", *_block(value, 1)]
        else:
            line = f"{scalar(key)}: {flow(value)}"
            lines.append(f"{line:<33} # {beside[key]}" if key in beside else line)
    if below:
        lines += ["", *_comments(below)]
    return "\n".join(lines) + "\n"


def _comments(lines: list[str]) -> list[str]:
    return [f"# {' '.join(_printable(line).split(' '))}".rstrip() for line in lines]


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)


def _block(value: Mapping[str, Any], depth: int) -> list[str]:
    indent = "  " * depth
    lines = []
    for key, item in value.items():
        head = f"{indent}{scalar(key)}:"
        if isinstance(item, str) and "\n" in item and _block_safe(item):
            ended = item.endswith("\n")
            lines += [
                f"{head} {'|' if ended else '|-'}",
                *(f"{indent}  {line}" for line in item.removesuffix("\n").split("\n")),
            ]
        elif isinstance(item, Mapping) and not (_flat(item) and len(head) + len(flow(item)) < WIDE):
            lines += [head, *_block(item, depth + 1)]
        elif isinstance(item, list) and len(head) + len(flow(item)) >= WIDE:
            lines += [head, *(f"{indent}  - {flow(entry)}" for entry in item)]
        else:
            lines.append(f"{head} {flow(item)}")
    return lines


def _block_safe(text: str) -> bool:
    """Whether it comes back as it is: a block says no more than whether one line end closes it."""
    plain = all(c.isprintable() or c == "\n" for c in text)
    return plain and not text.startswith((" ", "\n")) and not text.endswith("\n\n")


def _flat(value: Mapping[str, Any]) -> bool:
    return all(not isinstance(item, Mapping) for item in value.values())


def flow(value: Any) -> str:
    """A value on one line.

    >>> flow({"as": "categorical", "encode": ["indicator"]})
    '{as: categorical, encode: [indicator]}'
    """
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{scalar(key)}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(flow, value)) + "]"
    return scalar(value)


def scalar(value: Any) -> str:
    """A text, number or boolean, in quotes where it would be taken for something else.

    >>> scalar("age"), scalar("20%"), scalar("true"), scalar("a: b"), scalar(True)
    ('age', '20%', '"true"', '"a: b"', 'true')
    """
    if not isinstance(value, str):
        text = json.dumps(value)
        # Some readers of YAML take 1e-06 for a text, and none 1.0e-06.
        return (
            text.replace("e", ".0e") if isinstance(value, float) and "e" in text and "." not in text else text
        )
    if _SHARE.fullmatch(value) or (_PLAIN.fullmatch(value) and value.lower() not in _NOT_TEXT):
        return value
    quoted = json.dumps(value, ensure_ascii=False)
    return "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in quoted)
