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


class Clock:
    """The Date header, made once a second."""

    def __init__(self) -> None:
        self._second = 0
        self._line = b""

    def line(self) -> bytes:
        second = int(time.time())
        if second != self._second:
            self._second, self._line = second, f"date: {formatdate(second, usegmt=True)}\r\n".encode()
        return self._line


def head(response: Response, date: bytes, connection: bytes) -> bytes:
    """The status line and the headers of a response, with the empty line that ends them.

    connection: b"close", b"keep-alive", or b"" where the version's default holds.
    """
    lines = [
        _STATUS_LINES[response.status],
        f"content-type: {response.content_type}\r\ncontent-length: {len(response.body)}\r\n".encode(
            "latin-1"
        ),
        date,
    ]
    lines += [f"{name}: {value}\r\n".encode("latin-1") for name, value in response.headers]
    if connection:
        lines.append(b"connection: " + connection + b"\r\n")
    lines.append(b"\r\n")
    return b"".join(lines)
