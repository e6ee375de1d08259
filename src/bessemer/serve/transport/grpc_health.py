"""grpc.health.v1: what Kubernetes and load balancers ask a gRPC server.

https://github.com/grpc/grpc/blob/master/doc/health-checking.md
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from bessemer.serve.errors import RequestError
from bessemer.serve.protos import message
from bessemer.serve.wire import GRPC

_SERVICE = "grpc.health.v1.Health"
_LOOK = 0.2  # seconds between two looks of a watch
SERVING, NOT_SERVING, UNKNOWN = 1, 2, 3


class Health:
    """Answers Check and Watch; it needs no key, as the pages of the same kind.

    A service is '' (the whole server), a service of a dialect ('inference.GRPCInferenceService'), or a model's name.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self._stopping = False

    def stop(self) -> None:
        """From now on nothing is serving; those who watch are told."""
        self._stopping = True

    def status(self, service: str) -> int:
        """The status of a service, as a number of HealthCheckResponse.ServingStatus."""
        models = self._app.models
        ready = models.ready and not self._stopping
        paths = (e.route.path for e in self._app.router.endpoints() if e.route.method == GRPC)
        if service in ("", _SERVICE) or any(path.startswith(f"/{service}/") for path in paths):
            return SERVING if ready else NOT_SERVING
        try:
            return SERVING if ready and models.get(service).ready else NOT_SERVING
        except RequestError:
            return UNKNOWN

    def handler(self) -> grpc.GenericRpcHandler:
        return grpc.method_handlers_generic_handler(
            _SERVICE,
            {
                "Check": grpc.unary_unary_rpc_method_handler(self._check),
                "Watch": grpc.unary_stream_rpc_method_handler(self._watch),
            },
        )

    async def _check(self, body: bytes, context: Any) -> bytes:
        status = self.status(await _service(body, context))
        if status == UNKNOWN:
            await context.abort(grpc.StatusCode.NOT_FOUND, "there is no service or model of this name")
        return _response(status)

    async def _watch(self, body: bytes, context: Any) -> AsyncIterator[bytes]:
        service = await _service(body, context)
        told = None
        while told is None or not self._stopping:
            status = self.status(service)
            if status != told:
                yield _response(status)
                told = status
            await asyncio.sleep(_LOOK)
        if told != self.status(service):
            yield _response(self.status(service))


async def _service(body: bytes, context: Any) -> str:
    try:
        return str(message("grpc.health.v1.HealthCheckRequest").FromString(body).service)
    except DecodeError:
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "this is no HealthCheckRequest")
        raise


def _response(status: int) -> bytes:
    found: bytes = message("grpc.health.v1.HealthCheckResponse")(status=status).SerializeToString()
    return found
