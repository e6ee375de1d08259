"""HTTP servers of a test that note what they are asked, and fail as servers and networks do."""

from __future__ import annotations

import base64
import hashlib
import http.client
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote, unquote

from systems.threaded import listening

_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}


@dataclass(frozen=True)
class Request:
    """method: GET... path: with the query. headers: names in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one answer.

    status, headers: an answer instead of the right one. cut: the connection ends after so many bytes of the body.
    length: a Content-Length that is not true; unmeasured: none at all. pause: seconds of silence before the body. drip:
    so many bytes of the body each 50 ms.
    """

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: int | None = None
    length: int | None = None
    unmeasured: bool = False
    pause: float = 0.0
    drip: int = 0


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


Answering = Callable[[Request], Answer]


class Site:
    """A server, what it was asked, and the faults that are to come.

    fault: asked for each request; None for an answer as it should be.
    """

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.fault: Callable[[Request], Fault | None] = lambda request: None
        self.port = 0
        self.scheme = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def fail(self, *faults: Fault | None, method: str = "GET") -> None:
        """The next requests of a method meet these faults, in order; those after them are answered as they should."""
        left = list(faults)

        def fault(request: Request) -> Fault | None:
            return left.pop(0) if left and request.method == method else None

        self.fault = fault

    @contextmanager
    def cut(self, after: int, ending: str = "") -> Iterator[None]:
        """Within it the body of every path with this ending ends after so many bytes."""

        def fault(request: Request) -> Fault | None:
            return Fault(cut=after) if request.path.partition("?")[0].endswith(ending) else None

        self.fault = fault
        try:
            yield
        finally:
            self.fault = lambda request: None

    def asked(self, method: str = "GET") -> list[str]:
        """The paths that were asked for."""
        return [request.path for request in self.requests if request.method == method]


@contextmanager
def serving(answering: Answering, tls: ssl.SSLContext | None = None) -> Iterator[Site]:
    """A server on this machine that answers so, until the end; with encryption where `tls` is given."""
    found = Site()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *args: Any) -> None:
            pass

        def handle_one_request(self) -> None:
            with suppress(ConnectionError):
                super().handle_one_request()

        def _one(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = _unchunked(self.rfile) if "chunked" in headers.get("transfer-encoding", "") else b""
            request = Request(self.command, self.path, headers, body or self.rfile.read(length))
            found.requests.append(request)
            fault = found.fault(request) or Fault()
            answer = Answer(fault.status, fault.headers, fault.body) if fault.status else answering(request)
            self._send(answer, fault)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _one

        def _send(self, answer: Answer, fault: Fault) -> None:
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            length = len(answer.body) if fault.length is None else fault.length
            if not fault.unmeasured and not any(name.lower() == "content-length" for name in answer.headers):
                self.send_header("Content-Length", str(length))
            self.end_headers()
            if self.command == "HEAD" or answer.status in (204, 304):
                return
            time.sleep(fault.pause)
            body = answer.body if fault.cut is None else answer.body[: fault.cut]
            step = fault.drip or len(body) or 1
            for start in range(0, len(body), step):
                self.wfile.write(body[start : start + step])
                self.wfile.flush()
                if fault.drip:
                    time.sleep(0.05)
            if fault.cut is not None or fault.length is not None or fault.unmeasured:
                self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    found.port = server.server_port
    if tls is not None:
        found.scheme = "https"
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    with listening(server):
        yield found


def _unchunked(stream: Any) -> bytes:
    body = b""
    while size := int(stream.readline().split(b";")[0], 16):
        body += stream.read(size)
        stream.readline()
    stream.readline()
    return body


@contextmanager
def in_front_of(port: int) -> Iterator[Site]:
    """A server that passes everything on to one on this machine."""

    def answering(request: Request) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
        headers = {k: v for k, v in request.headers.items() if k not in ("connection", "transfer-encoding")}
        headers["content-length"] = str(len(request.body))
        try:
            connection.request(request.method, request.path, request.body, headers)
            answer = connection.getresponse()
            kept = {name: value for name, value in answer.getheaders() if name.lower() not in _HOP}
            if request.method == "HEAD" and answer.getheader("content-length"):
                kept["Content-Length"] = str(answer.getheader("content-length"))
            return Answer(answer.status, kept, answer.read())
        finally:
            connection.close()

    with serving(answering) as site:
        yield site


class Files:
    """Files of a web server as the good ones serve them: ETag, Range, If-Range, an index page for a folder.

    etags, ranges: whether it knows them. user: `name:password` of basic authentication, where it asks for it.
    """

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {}
        self.headers: dict[str, dict[str, str]] = {}
        self.etags = self.ranges = True
        self.user = ""

    def __call__(self, request: Request) -> Answer:
        path = unquote(request.path.partition("?")[0])
        login = f"Basic {base64.b64encode(self.user.encode()).decode()}"
        if self.user and request.headers.get("authorization") != login:
            return Answer(401, {"WWW-Authenticate": 'Basic realm="tests"'}, b"who are you?")
        if path.endswith("/") and any(name.startswith(path) for name in self.content):
            return self._index(path)
        if path not in self.content:
            return Answer(404, {}, b"not here")
        return self._file(path, request)

    def _index(self, path: str) -> Answer:
        names = [name.removeprefix(path) for name in self.content if name.startswith(path)]
        links = "".join(f'<a href="{link}">a file</a>\n' for link in ["../", "?C=M;O=A", *map(quote, names)])
        return Answer(200, {"Content-Type": "text/html; charset=utf-8"}, links.encode())

    def _file(self, path: str, request: Request) -> Answer:
        body = self.content[path]
        tag = f'"{hashlib.md5(body).hexdigest()}"'
        headers = {"Content-Type": "application/octet-stream", **self.headers.get(path, {})}
        if self.etags:
            headers |= {"ETag": tag, "Last-Modified": formatdate(0, usegmt=True)}
        if self.ranges:
            headers["Accept-Ranges"] = "bytes"
        asked = request.headers.get("range", "")
        if not self.ranges or not asked or request.headers.get("if-range", tag) != tag:
            return Answer(200, headers, body)
        start = int(asked.removeprefix("bytes=").partition("-")[0])
        if start >= len(body):
            return Answer(416, {"Content-Range": f"bytes */{len(body)}"}, b"")
        headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        return Answer(206, headers, body[start:])
