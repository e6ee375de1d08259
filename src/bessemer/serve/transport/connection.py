"""One client's connection: its requests are answered one at a time, in order, each within its time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from bessemer.serve.errors import RequestError
from bessemer.serve.guards.tls import peer_name
from bessemer.serve.transport.message import CONTINUE, head
from bessemer.serve.transport.reader import Head, Pending, Reader
from bessemer.serve.wire import Request, Response

if TYPE_CHECKING:
    from bessemer.serve.transport.http import HttpServer

_LINGER = 2.0


class Connection(asyncio.Protocol):
    """A connection is idle, reading a request, waiting for its answer, or writing it; each has a deadline.

    While an answer is due, requests that follow are parsed and wait; nothing more is read from the socket.
    """

    def __init__(self, server: HttpServer) -> None:
        self._server = server
        self._limits = server.spec
        self._loop = asyncio.get_running_loop()
        self._reader = Reader(server.spec.max_body, self._take, server.hold, self._encourage, server.heads)
        self._known = server.heads.get
        self._max_body = server.spec.max_body
        self._waiting: deque[Pending] = deque()
        self._current: Pending | None = None
        self._ended = False  # the client sends no more
        self._writable = True
        self._paused = False

    # asyncio ---------------------------------------------------------------------------------------
    def connection_made(self, transport: Any) -> None:
        self._transport: asyncio.Transport = transport
        self._address = str((transport.get_extra_info("peername") or ("",))[0])
        shown = transport.get_extra_info("peercert")
        self._certificate = peer_name(shown) if shown else ""
        self._wait(self._limits.keep_alive, self.close)
        if not self._server.enter(self):
            error = RequestError(503, "the server has too many connections", headers=(("retry-after", "1"),))
            self._reader.refuse(error)
            self.close()

    def connection_lost(self, error: Exception | None) -> None:
        pending = [*self._waiting, *([self._current] if self._current else [])]
        self._server.release(self._reader.size + sum(one.size for one in pending))
        self._waiting.clear()
        self._current = None
        self._server.leave(self)

    def data_received(self, data: bytes) -> None:
        if self._current is None and not self._waiting and self._writable and not self._reader.busy:
            end = data.find(b"\r\n\r\n") + 4
            known = self._known(data[:end])
            if known is not None and len(data) == end + known.length and known.length <= self._max_body:
                self._begin(known, data[end:])
                return
        fresh = not self._reader.reading
        self._reader.feed(data)
        if fresh and self._reader.reading and self._current is None:
            self._wait(self._limits.read_timeout, self._too_slow)
        if self._waiting and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """The client sends no more; it may still wait for answers."""
        self._ended = True
        return self._current is not None or bool(self._waiting)

    def pause_writing(self) -> None:
        self._writable = False
        self._wait(self._limits.read_timeout, self.abort)

    def resume_writing(self) -> None:
        self._writable = True
        if self._transport.is_closing():
            self._last()
            return
        self._rest()
        self._next()

    # requests --------------------------------------------------------------------------------------
    def _begin(self, known: Head, body: bytes) -> None:
        """Take a request that came whole, alone, and with a head that was read before."""
        if self._transport.is_closing():
            return
        request = Request(known.method, known.path, known.query, known.headers, body)
        self._current = pending = Pending(request, known.path, True)
        self._deadline, self._overdue = self._server.now + self._limits.timeout, self._too_late
        self._server.app.begin(request, partial(self.send, pending), self._address, self._certificate)

    def _take(self, pending: Pending) -> None:
        self._waiting.append(pending)
        self._next()

    def _encourage(self) -> None:
        if self._current is None:
            self._transport.write(CONTINUE)

    def _next(self) -> None:
        """Take the next request, once the one before is answered and its answer is sent."""
        if self._current or not self._waiting or not self._writable or self._transport.is_closing():
            return
        self._current = pending = self._waiting.popleft()
        self._wait(self._limits.timeout, self._too_late)
        if isinstance(pending.what, RequestError):
            self.send(pending, self._server.app.refuse(pending.path, pending.what))
        else:
            self._server.app.begin(
                pending.what, partial(self.send, pending), self._address, self._certificate
            )

    def send(self, pending: Pending, response: Response) -> None:
        """Answer a request; nothing happens when it has been answered, or its client has gone."""
        if self._current is not pending or self._transport.is_closing():
            return
        self._current = None
        if pending.size:
            self._server.release(pending.size)
        stay = pending.keep_alive and not self._server.stopping and not self._ended
        connection = (b"keep-alive" if pending.old else b"") if stay else b"close"
        data = head(response, self._server.date, connection)
        bodiless = isinstance(pending.what, Request) and pending.what.method == "HEAD"
        self._transport.write(data if bodiless else data + response.body)
        if not stay:
            self._part()
        elif self._waiting or self._paused or self._reader.busy or not self._writable:
            self._rest()
            if self._waiting:
                self._loop.call_soon(self._next)
        else:
            self._deadline, self._overdue = self._server.now + self._limits.keep_alive, self.close

    def _part(self) -> None:
        """Close. A client that is still sending is let finish for a while, or it would not read the answer."""
        self._server.release(sum(one.size for one in self._waiting))
        self._waiting.clear()
        if not self._reader.deaf:
            self.close()
            return
        self._resume()
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._wait(_LINGER, self.abort)

    def _rest(self) -> None:
        """After an answer: wait for the next request, or for the rest of it."""
        if not self._writable or self._current is not None:
            return
        if not self._waiting:
            self._resume()
        if self._reader.reading:
            self._wait(self._limits.read_timeout, self._too_slow)
        else:
            self._wait(self._limits.keep_alive, self.close)

    def _resume(self) -> None:
        if self._paused:
            self._paused = False
            self._transport.resume_reading()

    # time ------------------------------------------------------------------------------------------
    def _wait(self, seconds: float, then: Callable[[], None]) -> None:
        self._deadline, self._overdue = self._server.now + seconds, then

    def check(self, now: float) -> None:
        """Called a few times a second: act on a deadline that has passed."""
        if now >= self._deadline:
            self._deadline = now + _LINGER
            self._overdue()

    def _too_slow(self) -> None:
        seconds = self._limits.read_timeout
        self._reader.refuse(RequestError(408, f"the request did not end within {seconds:g} s"))

    def _too_late(self) -> None:
        if self._current is not None:
            error = RequestError(504, f"no answer within {self._limits.timeout:g} s")
            self._current.keep_alive = False
            self.send(self._current, self._server.app.refuse(self._current.path, error))

    @property
    def idle(self) -> bool:
        """Whether nothing is being read, predicted or written."""
        return not (self._current or self._waiting or self._reader.reading) and self._writable

    def close(self) -> None:
        """Close when what has been written is sent."""
        self._transport.close()
        if self._writable:
            self._last()

    def _last(self) -> None:
        """The client has as long to read what is left of an answer as on a connection that stays."""
        left = self._transport.get_write_buffer_size()
        self._wait(self._limits.read_timeout if left else _LINGER, self.abort)

    def abort(self) -> None:
        self._transport.abort()
