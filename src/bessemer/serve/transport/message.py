"""HTTP/1.1 messages: a request target to a path and a query, a response to bytes (RFC 9110, RFC 9112)."""

from __future__ import annotations

import time
from email.utils import formatdate
from http import HTTPStatus
from urllib.parse import parse_qsl, unquote

import httptools

from bessemer.serve.errors import RequestError
from bessemer.serve.wire import Response

_MOST_PARAMETERS = 64
_MOST_STARTS = 256
_STATUS_LINES = {s.value: f"HTTP/1.1 {s.value} {s.phrase}\r\n".encode() for s in HTTPStatus}
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def read_target(target: bytes) -> tuple[str, dict[str, str]]:
    """The decoded path and the query of a request target.

    Raises:
        RequestError: 400 for a target that is no URL, or not UTF-8, or has too many parameters.

    >>> read_target(b"/predict?explain=true")
    ('/predict', {'explain': 'true'})
    """
    try:
        url = httptools.parse_url(target)
        path = (url.path or b"/").decode("ascii")
        if "%" in path:
            path = unquote(path, errors="strict")
        if not url.query:
            return path, {}
        text = url.query.decode("ascii")
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MOST_PARAMETERS)
    except (httptools.HttpParserInvalidURLError, ValueError):
        raise RequestError(400, "the request's URL cannot be read") from None
    return path, dict(pairs)


def date_line() -> bytes:
    """The Date header of this second."""
    return f"date: {formatdate(time.time(), usegmt=True)}\r\n".encode()


def head(response: Response, date: bytes, connection: bytes) -> bytes:
    """The status line and the headers of a response, with the empty line that ends them.

    connection: b"close", b"keep-alive", or b"" where the version's default holds.
    """
    start = _starts.get((response.status, response.content_type))
    if start is None:
        start = _start(response.status, response.content_type)
    if not response.headers and not connection:
        return b"%b%d\r\n%b\r\n" % (start, len(response.body), date)
    lines = [start, b"%d\r\n" % len(response.body), date]
    lines += [f"{name}: {value}\r\n".encode("latin-1", "replace") for name, value in response.headers]
    if connection:
        lines.append(b"connection: " + connection + b"\r\n")
    lines.append(b"\r\n")
    return b"".join(lines)


#: The beginnings of answers, up to their length.
_starts: dict[tuple[int, str], bytes] = {}


def _start(status: int, content_type: str) -> bytes:
    made = _STATUS_LINES[status] + f"content-type: {content_type}\r\ncontent-length: ".encode("latin-1")
    if len(_starts) < _MOST_STARTS:
        _starts[status, content_type] = made
    return made
