"""A transaction for each request that is sampled, and within it what waiting, the model and the encoding took."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import TYPE_CHECKING, Any

from elasticapm.conf import constants
from elasticapm.traces import Span, Transaction
from elasticapm.utils.disttracing import TraceParent

from bessemer.serve.batching import Job, Run
from bessemer.serve.dialect import Subject
from bessemer.serve.telemetry.elastic.agent import Agent
from bessemer.serve.telemetry.lines import LONGEST, trace_id
from bessemer.serve.telemetry.sampled import Clock, Sampled, stages
from bessemer.serve.telemetry.sampling import Sampling
from bessemer.serve.wire import GRPC, Request, Response

if TYPE_CHECKING:
    pass


class Transactions(Sampled):
    """Gives the agent a transaction for each request that is sampled, after its answer was sent."""

    def __init__(self, agent: Agent, sampling: Sampling) -> None:
        super().__init__(sampling)
        self._agent, self._share = agent, sampling.root

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
        clock = Clock()  # now: what follows happens later

        def tell() -> None:
            self._tell(clock, request, response, address, client, seconds, run, job)

        try:
            asyncio.get_running_loop().call_soon(tell)
        except RuntimeError:  # no loop, no hurry
            tell()

    def _tell(
        self,
        clock: Clock,
        request: Request,
        response: Response,
        address: str,
        client: str,
        seconds: float,
        run: Run | None,
        job: Job | None,
    ) -> None:
        start = clock.wall - int(seconds * 1e9)
        found = self._begun(request, start)
        found.name = self._name(request, run)
        found.result = result_of(request, response)
        found.outcome = outcome_of(response)
        found.context = _context(request, response, address, client)
        found.label(**_labels(run, job, response))
        if run is not None:
            for name, since, until in stages(run, clock, start):
                self._span(found, name, since, until)
        found.end(duration=dt.timedelta(seconds=seconds))
        self._agent.queue(constants.TRANSACTION, found.to_dict())

    def _begun(self, request: Request, start: int) -> Transaction:
        """A transaction, in the trace of the client where it has one."""
        parent = request.headers.get("traceparent", "")
        trace = (
            TraceParent.from_string(parent, request.headers.get("tracestate")) if trace_id(parent) else None
        )
        share: float | None = self._share
        if trace is not None:
            told = trace.tracestate_dict.get(constants.TRACESTATE.SAMPLE_RATE)
            share = _share(told)
        return Transaction(
            self._agent.tracer, "request", trace_parent=trace, start=start / 1e9, sample_rate=share
        )

    def _span(self, parent: Transaction, name: str, since: int, until: int) -> None:
        # made without `begin_span`, which would walk the stack of this thread
        span = Span(parent, name, "app", span_subtype="bessemer", start=since / 1e9)
        parent._span_counter += 1
        span.outcome = constants.OUTCOME.SUCCESS
        span.end(duration=dt.timedelta(microseconds=max(0, until - since) / 1000))

    def _name(self, request: Request, run: Run | None) -> str:
        if run is not None:
            return f"{run.subject.name} {run.subject.version}"
        if request.method == GRPC:
            return request.path.lstrip("/")[:LONGEST]
        found = self.find(request.method, request.path)
        return f"{request.method} {found.endpoints[0].route.path}" if found else request.method


def outcome_of(response: Response) -> str:
    """What became of it, from the server's side: what a client did wrong is no failure of the server."""
    return str(constants.OUTCOME.FAILURE if response.status >= 500 else constants.OUTCOME.SUCCESS)


def result_of(request: Request, response: Response) -> str:
    """The result as the agents of Elastic write it.

    >>> result_of(Request("GET", "/"), Response(404))
    'HTTP 4xx'
    """
    protocol = "gRPC" if request.method == GRPC else "HTTP"
    return f"{protocol} {response.status // 100}xx"


def _context(request: Request, response: Response, address: str, client: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "request": {
            "method": request.method[:LONGEST],
            "url": {"pathname": request.path[:LONGEST]},
        },
        "response": {"status_code": response.status},
    }
    if address:
        found["request"]["socket"] = {"remote_address": address}
    if client:
        found["user"] = {"username": client[:LONGEST]}
    return found


def _labels(run: Run | None, job: Job | None, response: Response) -> dict[str, Any]:
    if run is None or job is None:
        return {"outcome": outcome_of(response)}
    return {
        **about(run.subject),
        "outcome": outcome_of(response),
        "dialect": job.dialect.name,
        "rows": job.batch.rows,
        "batch_rows": sum(each.batch.rows for each in run.jobs),
        "batch_requests": len(run.jobs),
        "explained": job.batch.explain,
    }


def about(subject: Subject) -> dict[str, Any]:
    """The labels of a version: its names there are (`stable`, `canary`) as `tag`, where it has any."""
    found = {"model": subject.name, "version": subject.version}
    return {**found, "tag": ",".join(subject.labels)} if subject.labels else found


def _share(told: str | None) -> float | None:
    """The share that the client sampled by, where it says one."""
    try:
        share = float(told or "")
    except ValueError:
        return None
    return share if 0.0 <= share <= 1.0 else None
