"""The gRPC transport: a server of grpc.aio on the loop of the HTTP server. Messages stay bytes: dialects read them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any, NamedTuple, Protocol

import grpc
import grpc.aio

from bessemer.core.errors import EnvironmentFault
from bessemer.serve.router import Router
from bessemer.serve.spec import ServeSpec
from bessemer.serve.transport.grpc_call import address_of, certificate_of, code_of, details_of, headers_of
from bessemer.serve.transport.grpc_health import Health
from bessemer.serve.wire import GRPC, Request, Response

log = logging.getLogger("bessemer.serve")

#: How many messages of one stream are answered at the same time; what follows is not read until one is sent.
_STREAMED = 16
_LEAST_BUFFER = 256 * 2**20
_MOST_METADATA = 64 * 1024
_STREAMS = 256
_STOPPING = "the server is stopping"


_Answers = asyncio.Queue[asyncio.Future[Response] | None]


class _Caller(NamedTuple):
    """Of a call: its metadata, where it comes from, the name in the client's certificate."""

    headers: dict[str, str]
    address: str
    certificate: str


class Application(Protocol):
    """What this transport needs of the application (see `serve.app.App`)."""

    @property
    def router(self) -> Router: ...

    @property
    def models(self) -> Any: ...

    def begin(
        self, request: Request, reply: Callable[[Response], None], address: str = "", certificate: str = ""
    ) -> None: ...


class GrpcServer:
    """Listens for gRPC, bounds what it holds, and stops gracefully. All of it runs on one loop.

    Args:
        app: answers.
        spec: host, `grpc_port` and limits: a message of more than `max_body` bytes is RESOURCE_EXHAUSTED, and so are
            more calls at once than `connections`; a call that is not answered in `timeout` is DEADLINE_EXCEEDED.
        credentials: of `grpc_tls.server_credentials`; None: plain text.
        reuse_port: whether several processes share the port.
    """

    def __init__(
        self, app: Application, spec: ServeSpec, credentials: Any = None, *, reuse_port: bool = False
    ) -> None:
        self.app, self.spec = app, spec
        self._credentials, self._reuse_port = credentials, reuse_port
        self._held, self._most_held = 0, max(_LEAST_BUFFER, 4 * spec.max_body)
        self._reading: set[asyncio.Task[None]] = set()
        self._health = Health(app)

    async def start(self) -> int:
        """Listen, and give the port.

        Raises:
            EnvironmentFault: the address is taken, not this machine's, or not allowed.
        """
        self._loop = asyncio.get_running_loop()
        self._server = grpc.aio.server(
            handlers=[_Handler(self), self._health.handler()],
            options=self._options(),
            maximum_concurrent_rpcs=self.spec.connections,
        )
        host = f"[{self.spec.host}]" if ":" in self.spec.host else self.spec.host
        address = f"{host}:{self.spec.grpc_port or 0}"
        try:
            if self._credentials is None:
                port = self._server.add_insecure_port(address)
            else:
                port = self._server.add_secure_port(address, self._credentials)
        except RuntimeError as error:
            raise EnvironmentFault(
                f"cannot listen on {address} for gRPC",
                why=str(error),
                fix="choose another port with `--grpc-port` (0 takes a free one), or another `--host`",
            ) from None
        await self._server.start()
        return int(port)

    async def stop(self, grace: float) -> None:
        """Take no more calls, finish those in flight (at most `grace` seconds), and return."""
        self._health.stop()
        for task in self._reading:
            task.cancel()
        await self._server.stop(grace)

    def _options(self) -> list[tuple[str, int]]:
        return [
            ("grpc.max_receive_message_length", self.spec.max_body),
            ("grpc.max_send_message_length", -1),
            ("grpc.max_metadata_size", _MOST_METADATA),
            ("grpc.absolute_max_metadata_size", _MOST_METADATA),
            ("grpc.max_concurrent_streams", _STREAMS),
            ("grpc.max_connection_idle_ms", int(self.spec.keep_alive * 1000)),
            ("grpc.keepalive_time_ms", int(self.spec.keep_alive * 1000)),
            ("grpc.keepalive_timeout_ms", int(self.spec.read_timeout * 1000)),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
            ("grpc.so_reuseport", int(self._reuse_port)),
        ]

    # calls -----------------------------------------------------------------------------------------
    def method_handler(self, path: str) -> grpc.RpcMethodHandler | None:
        """How a method is called; None where no dialect has it."""
        found = self.app.router.find(GRPC, path)
        if found is None:
            return None
        route = found.endpoints[0].route
        if route.stream == "in":
            return grpc.stream_stream_rpc_method_handler(partial(self._stream, path, route.broken))
        if route.stream == "out":
            return grpc.unary_stream_rpc_method_handler(partial(self._one_of_stream, path))
        return grpc.unary_unary_rpc_method_handler(partial(self._unary, path))

    async def _unary(self, path: str, message: bytes, context: Any) -> bytes:
        caller, seconds = self._caller(context)
        response = await self._ask(path, message, caller, seconds)
        if response.status >= 400:
            await _refuse(context, response)
        return response.body

    async def _one_of_stream(self, path: str, message: bytes, context: Any) -> AsyncIterator[bytes]:
        yield await self._unary(path, message, context)

    async def _stream(
        self,
        path: str,
        broken: Callable[[Response], bytes] | None,
        messages: AsyncIterator[bytes],
        context: Any,
    ) -> AsyncIterator[bytes]:
        """Answer each message, in their order. A refusal ends the stream, where the protocol has no place for it."""
        waiting: _Answers = asyncio.Queue(_STREAMED)
        caller, _ = self._caller(context)
        reading = self._loop.create_task(self._read(path, caller, messages, waiting))
        self._reading.add(reading)
        try:
            while (answer := await waiting.get()) is not None:
                response = await answer
                if response.status < 400:
                    yield response.body
                elif broken is not None:
                    yield broken(response)
                else:
                    await _refuse(context, response)
            if reading.cancelling():
                await context.abort(grpc.StatusCode.UNAVAILABLE, _STOPPING)
        finally:
            reading.cancel()
            self._reading.discard(reading)

    async def _read(
        self, path: str, caller: _Caller, messages: AsyncIterator[bytes], waiting: _Answers
    ) -> None:
        """Begin to answer each message of a stream; a call that breaks off ends it, and is ended by gRPC."""
        try:
            async for message in messages:
                await waiting.put(self._ask(path, message, caller, self.spec.timeout))
        except grpc.aio.BaseError as error:
            log.debug("a stream of %s broke off: %s", path, error)
        finally:
            await waiting.put(None)

    def _caller(self, context: Any) -> tuple[_Caller, float]:
        """Who calls, and the seconds there are: until the client's deadline, or our own."""
        headers = headers_of(context.invocation_metadata() or ())
        left, seconds = context.time_remaining(), self.spec.timeout
        if left is not None and left < seconds:
            seconds = max(left, 0.0)
            headers["grpc-timeout"] = f"{int(seconds * 1000)}m"
        certificate = certificate_of(context.auth_context()) if self._credentials is not None else ""
        return _Caller(headers, address_of(context.peer()), certificate), seconds

    def _ask(self, path: str, message: bytes, caller: _Caller, seconds: float) -> asyncio.Future[Response]:
        """The answer to a message, within so many seconds."""
        answer: asyncio.Future[Response] = self._loop.create_future()
        size = len(message)
        if self._held + size > self._most_held:
            answer.set_result(Response(429, b"the server's memory is full (try again)"))
            return answer
        self._held += size

        def reply(response: Response) -> None:
            nonlocal size
            self._held, size = self._held - size, 0
            if not answer.done():
                answer.set_result(response)

        late = self._loop.call_later(seconds, _too_late, answer, seconds)
        answer.add_done_callback(lambda _: late.cancel())
        request = Request(GRPC, path, {}, caller.headers, message)
        self.app.begin(request, reply, caller.address, caller.certificate)
        return answer


async def _refuse(context: Any, response: Response) -> None:
    """End a call with an error; the headers of the refusal become trailing metadata."""
    await context.abort(code_of(response.status), details_of(response), response.headers)


def _too_late(answer: asyncio.Future[Response], seconds: float) -> None:
    if not answer.done():
        answer.set_result(Response(504, f"no answer within {seconds:g} s".encode()))


class _Handler(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Finds a method's handler, once for each path."""

    def __init__(self, server: GrpcServer) -> None:
        self._server = server
        self._known: dict[str, Any] = {}

    def service(self, handler_call_details: Any) -> Any:
        path = handler_call_details.method
        handler = self._known.get(path)
        if handler is None:
            handler = self._server.method_handler(path)
            if handler is not None:
                self._known[path] = handler
        return handler
