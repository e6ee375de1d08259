"""One request over HTTP and its answer, bounded in size and in time as a whole."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

MOST_BYTES = 256 * 1024
_CHUNK = 16 * 1024


class ExchangeError(Exception):
    """Why there is no complete answer, in one sentence."""


@dataclass(frozen=True)
class Answer:
    """status: as the server gave it, also where it refuses. headers: names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def exchange(
    url: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    timeout: float,
) -> Answer:
    """Ask once, and read at most 256 KB, within `timeout` seconds. Redirects are not followed: they are the answer.

    Proxies are taken from the environment (HTTPS_PROXY, NO_PROXY), authorities from the system or SSL_CERT_FILE.

    Raises:
        ExchangeError: there is no complete answer.
    """
    watch = Deadline(timeout)
    opener = urllib.request.build_opener(_Http(watch), _Https(watch), _NoRedirect())
    try:
        request = urllib.request.Request(  # noqa: S310 - who calls says which schemes there may be
            url, data=body, headers={"user-agent": "bessemer", **(headers or {})}, method=method
        )
        with watch:
            try:
                opened = opener.open(request, timeout=timeout)
            except urllib.error.HTTPError as error:
                opened = error  # it is an answer too
            with opened as answer:
                found = {name.lower(): value for name, value in answer.headers.items()}
                return Answer(answer.status, found, _read(answer, watch))
    except (OSError, http.client.HTTPException, ValueError) as error:
        if watch.late:
            raise ExchangeError(f"no complete answer in {timeout:.3g} s") from None
        reason = getattr(error, "reason", None) or error
        raise ExchangeError(str(reason) or type(error).__name__) from None


def _read(answer: Any, watch: Deadline) -> bytes:
    parts: list[bytes] = []
    size = 0
    while part := answer.read1(_CHUNK):
        size += len(part)
        if size > MOST_BYTES:
            raise ExchangeError(f"more than {MOST_BYTES // 1024} KB")
        parts.append(part)
    if watch.late:  # cut in its headers or its body, it would look as if it had ended there
        raise OSError
    if (getattr(answer, "length", 0) or 0) > 0:
        raise ExchangeError("the answer ended before it was complete")
    return b"".join(parts)


class Deadline:
    """Cuts a connection when its time is over: the timeout of a socket begins anew with every byte.

    >>> with Deadline(10.0) as deadline:
    ...     deadline.late
    False
    """

    def __init__(self, timeout: float) -> None:
        self._until = time.monotonic() + timeout
        self._timer = threading.Timer(timeout, self._cut)
        self._timer.daemon = True
        self._socket: socket.socket | None = None

    @property
    def late(self) -> bool:
        return time.monotonic() >= self._until

    def hold(self, connected: socket.socket) -> None:
        self._socket = connected
        if self.late:
            self._cut()

    def _cut(self) -> None:
        if (connected := self._socket) is not None:
            with contextlib.suppress(OSError):  # it has ended by itself
                # Of an SSLSocket too: its own shutdown would forget that what follows is encrypted.
                socket.socket.shutdown(connected, socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._timer.cancel()
        self._socket = None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is the answer, which nobody follows: it could lead to plain http, or to a machine inside."""

    def redirect_request(self, *arguments: Any) -> None:
        return None


def _watched(kind: Any, watch: Deadline) -> Callable[..., Any]:
    """A connection class that shows its socket to the watch."""

    class Connection(kind):  # type: ignore[misc]
        def connect(self) -> None:
            super().connect()
            watch.hold(self.sock)

    return Connection


class _Http(urllib.request.HTTPHandler):
    def __init__(self, watch: Deadline) -> None:
        super().__init__()
        self._watch = watch

    def http_open(self, request: urllib.request.Request) -> Any:
        return self.do_open(_watched(http.client.HTTPConnection, self._watch), request)


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, watch: Deadline) -> None:
        super().__init__()
        self._watch = watch

    def https_open(self, request: urllib.request.Request) -> Any:
        return self.do_open(_watched(http.client.HTTPSConnection, self._watch), request)
