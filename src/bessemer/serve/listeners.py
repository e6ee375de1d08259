"""The sockets of one server process: HTTP, and gRPC beside it; they start, stop and drain together."""

from __future__ import annotations

import asyncio
import importlib.util
import ssl
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bessemer.core.errors import MissingExtra
from bessemer.serve.app import App
from bessemer.serve.spec import ServeSpec
from bessemer.serve.transport.address import Listening
from bessemer.serve.transport.http import HttpServer

if TYPE_CHECKING:
    from bessemer.serve.transport.grpc import GrpcServer


class Listeners:
    """Both transports of an application.

    Args:
        tls: for HTTPS; None: plain HTTP.
        shared: whether several processes listen on the ports.

    Raises:
        MissingExtra: a port for gRPC is asked for and grpcio is not installed.
    """

    def __init__(
        self, app: App, spec: ServeSpec, tls: ssl.SSLContext | None = None, *, shared: bool = False
    ) -> None:
        self._models, self._spec = app.models, spec
        self.http = HttpServer(app, spec, tls, shared=shared)
        self._rpc = _rpc(app, spec, shared=shared)
        self._stops: set[asyncio.Task[None]] = set()

    async def run(self, ready: Callable[[Listening], None]) -> None:
        """Serve until `stop`; return when both are drained.

        Raises:
            EnvironmentFault: an address is taken, not this machine's, or not allowed.
        """
        port = await self._rpc.start() if self._rpc is not None else None
        try:
            await self.http.run(lambda at: ready(replace(at, grpc_port=port)))
        finally:
            if self._rpc is not None:
                await self._rpc.stop(self._spec.drain)

    def stop(self) -> None:
        """Take no more requests and finish what is in flight; the second call cuts what is left. On the loop."""
        self._models.ready = False
        for lane in self._models.lanes():
            lane.subject.ready = False
        if self._rpc is not None:
            grace = 0.0 if self.http.stopping else self._spec.drain
            self._stops.add(asyncio.get_running_loop().create_task(self._rpc.stop(grace)))
        self.http.stop()


def _rpc(app: App, spec: ServeSpec, *, shared: bool) -> GrpcServer | None:
    """The server of gRPC, where the spec asks for one."""
    if spec.grpc_port is None:
        return None
    if importlib.util.find_spec("grpc") is None:
        raise MissingExtra("serve", "grpc", "serve")
    from bessemer.serve.transport.grpc import GrpcServer

    return GrpcServer(app, spec, _credentials(spec), reuse_port=shared)


def _credentials(spec: ServeSpec) -> Any:
    """TLS of gRPC, where the server has it."""
    if spec.tls is None:
        return None
    from bessemer.serve.transport.grpc_tls import server_credentials

    tls = spec.tls
    authority = Path(tls.client_ca) if tls.client_ca else None
    required = tls.client_certificate == "required"
    return server_credentials(Path(tls.certificate), Path(tls.key), authority, required=required)
