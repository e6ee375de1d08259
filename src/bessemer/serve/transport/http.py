"""The one transport: an asyncio HTTP/1.1 server whose loop stays free while threads predict."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from bessemer.core.errors import EnvironmentFault
from bessemer.serve.errors import RequestError
from bessemer.serve.spec import ServeSpec
from bessemer.serve.transport.connection import Connection
from bessemer.serve.transport.message import Clock
from bessemer.serve.transport.reader import Pending
from bessemer.serve.wire import Request, Response

_TICK = 0.2
_LEAST_BUFFER = 256 * 2**20


class Application(Protocol):
    """What a transport needs of the application; none of the three raises (see `serve.app.App`)."""

    def answer(self, request: Request) -> Response | None: ...

    def work(self, request: Request) -> Response: ...

    def refuse(self, path: str, error: RequestError) -> Response: ...


@dataclass(frozen=True)
class Listening:
    """Where a server listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The address to open; an IPv6 address stands in brackets.

        >>> Listening("::1", 8080).url
        'http://[::1]:8080'
        """
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - compared, not bound
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


class HttpServer:
    """Listens, bounds what it holds, and stops gracefully. Everything but `_predict` runs on the loop."""

    def __init__(self, app: Application, spec: ServeSpec) -> None:
        self.app = app
        self.spec = spec
        self.clock = Clock()
        self.stopping = False
        self._connections: set[Connection] = set()
        self._in_flight = 0
        self._buffered = 0
        self._most_buffered = max(_LEAST_BUFFER, 4 * spec.max_body)
        self._stop = asyncio.Event()

    async def run(self, ready: Callable[[Listening], None]) -> None:
        """Serve until `stop`; then stop accepting, finish what is in flight, and return.

        Raises:
            EnvironmentFault: the address is taken, not this machine's, or not allowed.
        """
        self._loop = asyncio.get_running_loop()
        self._pool = ThreadPoolExecutor(self.spec.threads, thread_name_prefix="bessemer-serve")
        listener = await self._listen()
        address = listener.sockets[0].getsockname()
        ticking = asyncio.create_task(self._tick())
        try:
            ready(Listening(self.spec.host, address[1]))
            await self._stop.wait()
        finally:
            listener.close()
            await self._drain()
            ticking.cancel()
            self._pool.shutdown(wait=False, cancel_futures=True)

    async def _listen(self) -> asyncio.Server:
        host, port = self.spec.host, self.spec.port
        try:
            return await self._loop.create_server(lambda: Connection(self), host, port, backlog=1024)
        except (OSError, OverflowError) as error:
            raise EnvironmentFault(
                f"cannot listen on {host}:{port}",
                why=str(error),
                fix="choose another port with `--port` (0 takes a free one), or another `--host`",
            ) from error

    def stop(self) -> None:
        """Begin to stop. The second call cuts what is still in flight."""
        if self.stopping:
            self._cut()
        self.stopping = True
        self._stop.set()

    async def _drain(self) -> None:
        self.stopping = True
        end = self._loop.time() + self.spec.drain
        for connection in [c for c in self._connections if c.idle]:
            connection.close()
        while self._connections and self._loop.time() < end:
            await asyncio.sleep(0.01)
        self._cut()
        await asyncio.sleep(0)

    def _cut(self) -> None:
        for connection in list(self._connections):
            connection.abort()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK)
            now = self._loop.time()
            for connection in list(self._connections):
                connection.check(now)

    # what connections ask ---------------------------------------------------------------------------
    def enter(self, connection: Connection) -> bool:
        """Count a new connection; False when there are more than the limit."""
        self._connections.add(connection)
        return len(self._connections) <= self.spec.connections

    def leave(self, connection: Connection) -> None:
        self._connections.discard(connection)

    def hold(self, size: int) -> bool:
        """Count bytes of bodies in memory; False when there are more than the limit."""
        self._buffered += size
        return self._buffered <= self._most_buffered

    def release(self, size: int) -> None:
        self._buffered -= size

    def submit(self, connection: Connection, pending: Pending, request: Request) -> None:
        """Give a request to a thread; when too many wait already, refuse it at once."""
        if self._in_flight >= self.spec.threads + self.spec.queue:
            full = RequestError(503, "the server is full", fix="try again", headers=(("retry-after", "1"),))
            connection.send(pending, self.app.refuse(request.path, full))
            return
        self._in_flight += 1
        self._pool.submit(self._predict, connection, pending, request, time.monotonic() + self.spec.timeout)

    def _predict(self, connection: Connection, pending: Pending, request: Request, end: float) -> None:
        """In a thread: answer a request, unless its time is over before its turn comes."""
        response = self.app.work(request) if time.monotonic() < end else None
        with contextlib.suppress(RuntimeError):  # the loop has closed: the drain was cut
            self._loop.call_soon_threadsafe(self._finish, connection, pending, response)

    def _finish(self, connection: Connection, pending: Pending, response: Response | None) -> None:
        self._in_flight -= 1
        if response is not None:
            connection.send(pending, response)
