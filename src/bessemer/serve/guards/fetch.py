"""One document over HTTPS, bounded in size and time."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

MOST_BYTES = 256 * 1024
_CHUNK = 16 * 1024


class FetchError(Exception):
    """Why a document could not be fetched, in one sentence."""


def fetch(url: str, timeout: float) -> bytes:
    """The body at a URL, at most 256 KB, within `timeout` seconds. Redirects are not followed.

    Proxies are taken from the environment (HTTPS_PROXY, NO_PROXY), authorities from the system or SSL_CERT_FILE.

    Raises:
        FetchError: anything but a complete answer with status 200.
    """
    watch = _Watch(timeout)
    opener = urllib.request.build_opener(_Http(watch), _Https(watch), _NoRedirect())
    request = urllib.request.Request(url, headers={"accept": "application/json", "user-agent": "bessemer"})  # noqa: S310 - the spec allows https, and http to this machine
    try:
        with watch, opener.open(request, timeout=timeout) as answer:
            if answer.status != 200:
                raise FetchError(f"status {answer.status}")
            return _read(answer, watch)
    except urllib.error.HTTPError as error:
        error.close()
        raise FetchError(f"status {error.code}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        if watch.late:
            raise FetchError(f"no complete answer in {timeout:g} s") from None
        reason = getattr(error, "reason", None) or error
        raise FetchError(str(reason) or type(error).__name__) from None


def _read(answer: Any, watch: _Watch) -> bytes:
    parts: list[bytes] = []
    size = 0
    while part := answer.read1(_CHUNK):
        size += len(part)
        if size > MOST_BYTES:
            raise FetchError(f"more than {MOST_BYTES // 1024} KB")
        parts.append(part)
    if watch.late:  # cut in its headers or its body, it would look as if it had ended there
        raise OSError
    if (answer.length or 0) > 0:
        raise FetchError("the answer ended before it was complete")
    return b"".join(parts)


class _Watch:
    """Cuts the connection when its time is over: the timeout of a socket begins anew with every byte."""

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

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *error: object) -> None:
        self._timer.cancel()
        self._socket = None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is the answer, which `fetch` refuses: it could lead to plain http, or to a machine inside."""

    def redirect_request(self, *arguments: Any) -> None:
        return None


def _watched(kind: Any, watch: _Watch) -> Callable[..., Any]:
    """A connection class that shows its socket to the watch."""

    class Connection(kind):  # type: ignore[misc]
        def connect(self) -> None:
            super().connect()
            watch.hold(self.sock)

    return Connection


class _Http(urllib.request.HTTPHandler):
    def __init__(self, watch: _Watch) -> None:
        super().__init__()
        self._watch = watch

    def http_open(self, request: urllib.request.Request) -> Any:
        return self.do_open(_watched(http.client.HTTPConnection, self._watch), request)


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, watch: _Watch) -> None:
        super().__init__()
        self._watch = watch

    def https_open(self, request: urllib.request.Request) -> Any:
        return self.do_open(_watched(http.client.HTTPSConnection, self._watch), request)
