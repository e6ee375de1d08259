"""Lines of the access log."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TypeAlias

import orjson

#: The most characters of a text that a client chose.
LONGEST = 1024
#: time, method, path, status, bytes, seconds, client, address, request id, user agent, traceparent, action
Record: TypeAlias = tuple[float, str, str, int, int, float, str, str, str, str, str, str]

_TRACE = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")
# orjson escapes what JSON must; a terminal that shows the file is also safe from C1 controls and line separators
_CONTROL = re.compile("[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def line(record: Record) -> bytes:
    """One line, with its end.

    >>> line((0.0, "GET", "/healthz", 200, 2, 0.00025, "", "::1", "", "curl/8", "", "")).decode()
    '{"time":"1970-01-01T00:00:00.000Z","method":"GET","path":"/healthz","status":200,"bytes":2,"seconds":0.00025,"address":"::1","user_agent":"curl/8"}\\n'
    """
    at, method, path, status, size, seconds, client, address, identity, agent, parent, action = record
    found: dict[str, Any] = {
        "time": moment(at),
        "method": method,
        "path": clean(path),
        "status": status,
        "bytes": size,
        "seconds": round(seconds, 6),
    }
    if client:
        found["client"] = clean(client)
    if action:
        found["action"] = action
    if address:
        found["address"] = address
    if identity:
        found["request_id"] = clean(identity)
    if agent:
        found["user_agent"] = clean(agent)
    if parent and (trace := trace_id(parent)):
        found["trace_id"] = trace
    return orjson.dumps(found) + b"\n"


def lost(at: float, count: int) -> bytes:
    """The line that tells of others that were lost.

    >>> lost(0.0, 3)
    b'{"time":"1970-01-01T00:00:00.000Z","dropped":3}\\n'
    """
    return orjson.dumps({"time": moment(at), "dropped": count}) + b"\n"


def moment(at: float) -> str:
    """A Unix time in ISO 8601, with milliseconds.

    >>> moment(1.2345)
    '1970-01-01T00:00:01.234Z'
    """
    second = int(at)
    return f"{_second(second)}.{int((at - second) * 1000):03d}Z"


@lru_cache(maxsize=8)  # thousands of lines share a second
def _second(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def clean(text: str) -> str:
    r"""A client's text as it may stand in a log: short, without control characters.

    >>> clean("a\x9bb")
    'a\\u009bb'
    """
    if len(text) <= LONGEST and text.isascii() and text.isprintable():
        return text
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text[:LONGEST])


def trace_id(parent: str) -> str:
    """The trace of a `traceparent` header (W3C Trace Context); '' where it has none.

    >>> trace_id("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    '4bf92f3577b34da6a3ce929d0e0e4736'
    """
    found = _TRACE.fullmatch(parent)
    return found[1] if found and found[1].strip("0") else ""
