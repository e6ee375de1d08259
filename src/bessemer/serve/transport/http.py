"""The HTTP/1.1 transport: a server of asyncio protocols."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from typing import Protocol

from bessemer.core.errors import EnvironmentFault
from bessemer.serve.errors import RequestError
from bessemer.serve.spec import ServeSpec
from bessemer.serve.transport.address import Listening
from bessemer.serve.transport.connection import Connection
from bessemer.serve.transport.message import date_line
from bessemer.serve.transport.reader import Heads
from bessemer.serve.wire import Request, Response

log = logging.getLogger("bessemer.serve")

_TICK = 0.2
_LEAST_BUFFER = 256 * 2**20


class Application(Protocol):
    """What a transport needs of the application; neither raises (see `serve.app.App`)."""

    def begin(
        self, request: Request, reply: Callable[[Response], None], address: str = "", certificate: str = ""
    ) -> None: ...

    def refuse(self, path: str, error: RequestError) -> Response: ...


class HttpServer:
    """Listens, bounds what it holds, and stops gracefully. All of it runs on the loop.

    Args:
        app: answers.
        spec: host, port and limits.
        tls: for HTTPS; None: plain HTTP.
        shared: whether several processes listen on the port.
    """

    def __init__(
        self, app: Application, spec: ServeSpec, tls: ssl.SSLContext | None = None, *, shared: bool = False
    ) -> None:
        self.app = app
        self.spec = spec
        self._tls, self._shared = tls, shared
        self.heads = Heads()
        self.now = 0.0  #: the loop's time, as of the last tick: close enough for deadlines
        self.date = date_line()
        self.stopping = False
        self._connections: set[Connection] = set()
        self.accepted = 0  #: connections since the start
        self._buffered = 0
        self._most_buffered = max(_LEAST_BUFFER, 4 * spec.max_body)
        self._stop = asyncio.Event()

    async def run(self, ready: Callable[[Listening], None]) -> None:
        """Serve until `stop`; then stop accepting, finish what is in flight, and return.

        Raises:
            EnvironmentFault: the address is taken, not this machine's, or not allowed.
        """
        self._loop = asyncio.get_running_loop()
        self.now = self._loop.time()
        listener = await self._listen()
        address = listener.sockets[0].getsockname()
        ticking = asyncio.create_task(self._tick())
        try:
            ready(Listening(self.spec.host, address[1], secure=self._tls is not None))
            await self._stop.wait()
        finally:
            listener.close()
            await self._drain()
            ticking.cancel()

    async def _listen(self) -> asyncio.Server:
        host, port = self.spec.host, self.spec.port
        try:
            return await self._loop.create_server(
                lambda: Connection(self),
                host,
                port,
                backlog=1024,
                ssl=self._tls,
                reuse_port=self._shared or None,
            )
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
            self.now = now = self._loop.time()
            self.date = date_line()
            for connection in list(self._connections):
                try:
                    connection.check(now)
                except Exception:  # the others still have their deadlines
                    log.exception("a connection that was overdue")
                    connection.abort()

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._connections)

    # what connections ask ---------------------------------------------------------------------------
    def enter(self, connection: Connection) -> bool:
        """Count a new connection; False when there are more than the limit."""
        self._connections.add(connection)
        self.accepted += 1
        return len(self._connections) <= self.spec.connections

    def leave(self, connection: Connection) -> None:
        self._connections.discard(connection)

    def hold(self, size: int) -> bool:
        """Count bytes of bodies in memory; False when there are more than the limit."""
        self._buffered += size
        return self._buffered <= self._most_buffered

    def release(self, size: int) -> None:
        self._buffered -= size
