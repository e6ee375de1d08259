"""JSON as Python's own writer writes it: with NaN and Infinity, which RFC 8259 does not have."""

from __future__ import annotations

import json
from typing import Any

import orjson

from bessemer.serve.errors import RequestError
from bessemer.serve.wire import parse_json

_TOKENS = (b"NaN", b"Infinity")


def parse_loosely(body: bytes) -> Any:
    """JSON to values; NaN is None, which is a missing value everywhere, Infinity is infinite.

    Raises:
        RequestError: 400 for what is no JSON, even so.

    >>> parse_loosely(b'[1.5, NaN]')
    [1.5, None]
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        if not any(token in body for token in _TOKENS):
            return parse_json(body)  # which says what is wrong
    try:
        text = body.decode("utf-8")  # strictly: Python's reader would take half a character
        found = json.loads(text, parse_constant=_constant, parse_int=_integer)
        if b"\\u" in body:  # half a character, which Python takes and nothing else does
            orjson.dumps(found)
        return found
    except (ValueError, TypeError, RecursionError) as error:
        raise RequestError(400, f"the body is not valid JSON: {error}") from None


def _integer(text: str) -> float:
    """A whole number; beyond 64 bits a float, as orjson reads it."""
    return int(text) if len(text) < 19 else _large(text)


def _large(text: str) -> float:
    return found if len(text) <= 21 and -(2**63) <= (found := int(text)) < 2**64 else float(text)


def _constant(token: str) -> float | None:
    return None if token == "NaN" else float(token)  # noqa: S105 - of JSON, not of a login
