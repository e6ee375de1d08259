"""Bytes of one connection to requests, within the limits; no sockets and no time.

httptools (llhttp) parses; it refuses what request smuggling needs (both lengths, two lengths, a bare CR).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httptools

from bessemer.serve.errors import RequestError
from bessemer.serve.transport.message import read_target
from bessemer.serve.wire import Request

MAX_HEAD = 64 * 1024


@dataclass(slots=True, frozen=True)
class Head:
    """The head of a request that was read before: the same bytes mean the same again.

    length: bytes of the body that follows. Only heads are kept whose body's end is plain from a Content-Length or its
    absence, of requests after which the connection stays.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    length: int


class Heads:
    """The heads that clients send again and again: those of one client differ in their Content-Length, if at all."""

    _MOST = 4096
    _LONGEST = 2048

    def __init__(self) -> None:
        self._known: dict[bytes, Head] = {}
        self.get = self._known.get

    def note(self, data: bytes, request: Request) -> None:
        """Remember the head of a request that came whole, and alone, in `data`."""
        length = len(request.body)
        if len(data) - length > self._LONGEST:
            return
        headers = request.headers
        if int(headers.get("content-length", "0")) != length or any(name in headers for name in _SPECIAL):
            return
        if headers.get("connection", "keep-alive").lower() != "keep-alive":
            return
        head = data[: len(data) - length]
        if head.endswith(b"\r\n\r\n") and head.find(b"\r\n\r\n") == len(head) - 4:
            if len(self._known) >= self._MOST:  # of heads that never come again; others are soon back
                self._known.clear()
            self._known[head] = Head(request.method, request.path, request.query, headers, length)


#: What changes how a message is read.
_SPECIAL = ("transfer-encoding", "expect", "upgrade", "trailer", "te")


@dataclass(slots=True, eq=False)
class Pending:
    """A request that waits for its answer, or the refusal that stands in its place.

    keep_alive: whether the client wants to send another on the same connection; old: HTTP/1.0, where keeping
    alive must be said in the answer; size: bytes of its body.
    """

    what: Request | RequestError
    path: str
    keep_alive: bool = False
    old: bool = False
    size: int = 0


class Reader:
    """Reads requests one after the other.

    Args:
        max_body: bytes a body may have.
        give: is given each request when it is whole, or a refusal, after which nothing more is read.
        hold: is told of each part of a body; it says whether there is memory for it.
        encourage: is called when a client waits for leave to send its body (Expect: 100-continue).
        heads: is told of requests that came whole in one piece.
    """

    def __init__(
        self,
        max_body: int,
        give: Callable[[Pending], None],
        hold: Callable[[int], bool],
        encourage: Callable[[], None],
        heads: Heads | None = None,
    ) -> None:
        self._max_body = max_body
        self._give, self._hold, self._encourage = give, hold, encourage
        self._heads = heads
        self._fed = b""
        self._parser: Any = httptools.HttpRequestParser(self)
        self.deaf = False  #: the rest of what the client sends is dropped
        self._forget()

    def _forget(self) -> None:
        self.reading = False  #: in the middle of a request
        self.size = 0  #: bytes of the body that is being read
        self._in_head = True
        self._head_size = 0
        self._target = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []

    @property
    def busy(self) -> bool:
        """Whether it is in the middle of a request, or reads no more."""
        return self.reading or self.deaf

    def feed(self, data: bytes) -> None:
        """Read some bytes; `give` is called for what they complete."""
        if self.deaf:
            return
        in_head = self.reading and self._in_head
        self._fed = b"" if self.reading else data
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.deaf = True  # the request is answered as it is; the other protocol is not spoken
        except httptools.HttpParserError as error:
            self.refuse(RequestError(400, f"this is not HTTP/1.1: {error}"))
        if (
            in_head and self._in_head
        ):  # a header that does not end is counted here: the parser has not given it yet
            self._count(len(data))

    def refuse(self, error: RequestError) -> None:
        """Give an error in the place of the request that is being read, and read no more."""
        if self.deaf:
            return
        self.deaf = True
        path = self._target.decode("latin-1").partition("?")[0]
        pending = Pending(error, path, size=self.size)
        self._forget()
        self._give(pending)

    def _count(self, size: int) -> None:
        self._head_size += size
        if self._head_size > MAX_HEAD:
            self.refuse(RequestError(431, f"the request's headers have more than {MAX_HEAD} bytes"))

    # called by the parser --------------------------------------------------------------------------
    def on_message_begin(self) -> None:
        if self.deaf:
            return
        self._forget()
        self.reading = True

    def on_url(self, part: bytes) -> None:
        self._target += part
        self._count(len(part))

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head or self.deaf:  # trailers are dropped
            return
        self._head_size += len(name) + len(value)
        if self._head_size > MAX_HEAD:
            self._count(0)
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        self._headers[key] = f"{self._headers[key]}, {text}" if key in self._headers else text

    def on_headers_complete(self) -> None:
        if self.deaf:
            return
        self._in_head = False
        if error := self._unfit():
            self.refuse(error)
        elif self._headers.get("expect", "").lower() == "100-continue":
            self._encourage()

    def _unfit(self) -> RequestError | None:
        """Why a request is refused for its head alone."""
        if "host" not in self._headers and self._parser.get_http_version() == "1.1":
            return RequestError(400, "the request has no Host header")
        coding = self._headers.get("content-encoding", "identity")
        if coding != "identity":
            return RequestError(415, f"the content encoding '{coding}' is not taken", fix="send it as it is")
        if int(self._headers.get("content-length", "0")) > self._max_body:
            return self._too_large()
        return None

    def _too_large(self) -> RequestError:
        what = f"the body has more than {self._max_body} bytes"
        return RequestError(413, what, fix="send fewer rows, or raise `max_body`")

    def on_body(self, part: bytes) -> None:
        if self.deaf:
            return
        self.size += len(part)
        self._body.append(part)
        if not self._hold(len(part)):
            self.refuse(RequestError(503, "the server's memory is full", headers=(("retry-after", "1"),)))
        elif self.size > self._max_body:
            self.refuse(self._too_large())

    def on_message_complete(self) -> None:
        if self.deaf:
            return
        try:
            path, query = read_target(self._target)
        except RequestError as error:
            self.refuse(error)
            return
        method = self._parser.get_method().decode("ascii")
        request = Request(method, path, query, self._headers, b"".join(self._body))
        keep_alive = self._parser.should_keep_alive() and not self._parser.should_upgrade()
        old = self._parser.get_http_version() != "1.1"
        pending = Pending(request, path, keep_alive, old, self.size)
        if self._heads is not None and self._fed and keep_alive and not old:
            self._heads.note(self._fed, request)
        self._forget()
        self._give(pending)
