"""Spans of requests: a server span, and within it what waiting, the model and the encoding took.

Attributes are those of OpenTelemetry's semantic conventions for HTTP and RPC servers, and `bessemer.*`.
https://opentelemetry.io/docs/specs/semconv/http/http-spans/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from bessemer.serve.batching import Job, Run
from bessemer.serve.telemetry.lines import LONGEST
from bessemer.serve.telemetry.sampled import Clock, Sampled, stages
from bessemer.serve.telemetry.sampling import Sampling
from bessemer.serve.wire import GRPC, Request, Response

if TYPE_CHECKING:
    pass

_PROPAGATOR = TraceContextTextMapPropagator()


class Tracing(Sampled):
    """A span for each request that is sampled."""

    def __init__(self, tracer: Tracer, sampling: Sampling, scheme: str = "http") -> None:
        super().__init__(sampling)
        self._tracer, self._scheme = tracer, scheme

    def record(
        self,
        request: Request,
        response: Response,
        address: str,
        client: str,
        seconds: float,
        run: Run | None,
        job: Job | None,
    ) -> None:
        clock = Clock()
        start = clock.wall - int(seconds * 1e9)
        span = self._tracer.start_span(
            self._name(request),
            context=_PROPAGATOR.extract(request.headers, context=Context()),
            kind=SpanKind.SERVER,
            attributes=self._about(request, response, address, client),
            start_time=start,
        )
        if run is not None and job is not None:
            self._stages(span, run, job, clock, start)
        if response.status >= 500:
            grpc = request.method == GRPC
            span.set_attribute("error.type", _code(response.status) if grpc else str(response.status))
            span.set_status(StatusCode.ERROR)
        span.end(clock.wall)

    def _stages(self, span: Span, run: Run, job: Job, clock: Clock, start: int) -> None:
        """The attributes and the spans of what the model did."""
        span.set_attributes(
            {
                "bessemer.model": run.subject.name,
                "bessemer.version": run.subject.version,
                "bessemer.dialect": job.dialect.name,
                "bessemer.rows": job.batch.rows,
                "bessemer.explained": job.batch.explain,
                "bessemer.batch.rows": sum(each.batch.rows for each in run.jobs),
                "bessemer.batch.requests": len(run.jobs),
            }
        )
        context = set_span_in_context(span, Context())
        for name, since, until in stages(run, clock, start):
            self._tracer.start_span(name, context=context, start_time=since).end(until)

    def _name(self, request: Request) -> str:
        if request.method == GRPC:
            return request.path.lstrip("/")
        route = self._route(request)
        return f"{request.method} {route}" if route else request.method

    def _route(self, request: Request) -> str:
        found = self.find(request.method, request.path)
        return found.endpoints[0].route.path if found else ""

    def _about(
        self, request: Request, response: Response, address: str, client: str
    ) -> dict[str, str | int | list[str]]:
        headers = request.headers
        if request.method == GRPC:
            about: dict[str, str | int | list[str]] = {
                "rpc.system.name": "grpc",
                "rpc.method": request.path.lstrip("/")[:LONGEST],
                "rpc.response.status_code": _code(response.status),
            }
        else:
            about = {
                "http.request.method": request.method,
                "http.response.status_code": response.status,
                "http.request.body.size": len(request.body),
                "http.response.body.size": len(response.body),
                "url.path": request.path[:LONGEST],
                "url.scheme": self._scheme,
            }
            if route := self._route(request):
                about["http.route"] = route
        optional = {
            "client.address": address,
            "bessemer.client": client,
            "user_agent.original": headers.get("user-agent", ""),
        }
        about |= {name: text[:LONGEST] for name, text in optional.items() if text}
        if identity := headers.get("x-request-id"):
            about["http.request.header.x-request-id"] = [identity[:LONGEST]]
        return about | _server(headers.get("host", ""))


def _code(status: int) -> str:
    """The name of gRPC's code for a status."""
    from bessemer.serve.transport.grpc_call import code_of  # where gRPC is spoken, its library is loaded

    return "OK" if status < 400 else str(code_of(status).name)


def _server(host: str) -> dict[str, str | int]:
    """What the client called the server: the name, and the port where it said one."""
    name, colon, port = host.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or len(port) > 5:
        return {"server.address": host[:LONGEST]} if host else {}
    return {"server.address": name.strip("[]")[:LONGEST], "server.port": int(port)}
