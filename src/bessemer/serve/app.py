"""From a request to a response: who may ask, which dialect answers, which model predicts, what an error becomes."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import orjson

from bessemer.serve import openapi, page
from bessemer.serve.batching import Job
from bessemer.serve.dialect import Call, Dialect, Route, RouteSource, Subject
from bessemer.serve.errors import RequestError, failure
from bessemer.serve.guards.guard import Guard
from bessemer.serve.guards.mark import Mark
from bessemer.serve.guards.principal import Principal
from bessemer.serve.guards.spec import AccessSpec
from bessemer.serve.plugins import DIALECTS, spoken
from bessemer.serve.repository import Repository
from bessemer.serve.router import Endpoint, Found, Router
from bessemer.serve.wire import Request, Response, json_response

#: A body of so many bytes is read in a thread: reading it would hold up the event loop.
LARGE_BODY = 128 * 1024

Reply = Callable[[Response], None]
Access = Callable[[Request, Response, str, str, float], None]


@dataclass
class House:
    """What an App needs beside its models.

    guard: who may ask; None: everybody may predict, and nobody administer.
    pool: where long work is done.
    name: names a request, after what its client calls it; None: requests have no names.
    access: is given each request, its answer, the client's address and name, and the seconds between.
    own: further routes, of the server itself.
    """

    guard: Guard | None = None
    pool: Executor | None = None
    name: Callable[[str], str] | None = None
    access: Access | None = None
    own: Sequence[RouteSource] = ()


class _Watched:
    """A reply that gets the headers of the guard, and is told to the access log."""

    __slots__ = ("_address", "_begun", "_house", "_reply", "_request", "principal", "refused")

    def __init__(self, house: House, request: Request, reply: Reply, address: str) -> None:
        self._house, self._request, self._reply, self._address = house, request, reply, address
        self._begun = time.perf_counter()
        self.principal: Principal | None = None
        self.refused: RequestError | None = None

    def __call__(self, response: Response) -> None:
        house, guard = self._house, self._house.guard
        if guard is not None and guard.pages:
            more = guard.response_headers(self._request.headers, self.principal, self._address)
            response.headers = (*response.headers, *more)
        if house.access is not None:
            seconds = time.perf_counter() - self._begun
            name = self.principal.name if self.principal is not None else ""
            if self.refused is not None:
                name, response.note = self.refused.client, self.refused.action
            elif self.principal is not None and self.principal.action:
                response.note = self.principal.action
            house.access(self._request, response, self._address, name, seconds)
        self._reply(response)


class App:
    """Everything a server does short of sockets.

    `begin` answers on an event loop by a callback; `handle` answers at once, for those without one.
    Neither raises.
    """

    def __init__(self, models: Repository, house: House | None = None) -> None:
        self.models = models
        self.refused: Counter[int] = Counter()  #: refusals that no model has counted, by status
        self._timeout = models.spec.timeout
        self._house = house or House()
        self._dialects = [DIALECTS.load(name)(models) for name in spoken(models.spec.dialects)]
        self._house.guard = self._guard = self._house.guard or Guard(AccessSpec())
        self._free = self._guard.free
        self._watched = self._house.access is not None or self._guard.pages
        own = [*self._pages(), *(route for source in self._house.own for route in source.routes)]
        self._described: tuple[tuple[Subject, ...], dict[str, Any]] | None = None
        self.router = Router(self._dialects, [Endpoint(self._dialects[0], route) for route in own])

    # on an event loop ------------------------------------------------------------------------------
    def begin(self, request: Request, reply: Reply, address: str = "", certificate: str = "") -> None:
        """Answer a request: `reply` is called once, on the loop, now or later.

        Args:
            address: the client's; certificate: the name in the client's certificate, where it showed one.
        """
        watched = None
        if self._watched:
            reply = watched = _Watched(self._house, request, reply, address)
            if request.method == "OPTIONS" and (leave := self._leave(request)) is not None:
                reply(leave)
                return
        found = self.router.find(request.method, request.path)
        if found is None:
            reply(self._elsewhere(request, address, certificate))
            return
        endpoint = found.choose(request)
        try:
            client, mark = "", None
            if not self._free or certificate or endpoint.route.scope != "predict":
                principal = self._admit(request, address, certificate, endpoint.route.scope)
                client, mark = principal.name, principal.mark
                if watched is not None and not self._guard.is_public(request.path):
                    watched.principal = principal
            call = self._call(request, endpoint, found)
            call.client = client
            if endpoint.route.answer is None:
                self._predict(endpoint, call, reply, client, mark)
            elif endpoint.route.slow:
                self._in_thread(lambda: self._answered(found, endpoint, call), reply)
            else:
                reply(self._answered(found, endpoint, call))
        except RequestError as error:
            if watched is not None and error.client:
                watched.refused = error
            reply(self._refused(endpoint.dialect, error))
        except Exception:  # noqa: BLE001 - the border: the client gets an answer and the log the reason
            reply(self._failed(endpoint.dialect, request))

    def _elsewhere(self, request: Request, address: str, certificate: str) -> Response:
        """The answer where no route is. What there is instead is told to those only who may ask."""
        try:
            if not self._free:
                self._admit(request, address, certificate, "predict")
        except RequestError as error:
            return self.refuse(request.path, error)
        return self.refuse(request.path, self.router.lost(request))

    def _leave(self, request: Request) -> Response | None:
        """The answer to a browser that asks for leave for another origin's page; None where it does not."""
        try:
            return self._guard.preflight(request.method, request.headers)
        except RequestError as error:
            return self.refuse(request.path, error)

    def _predict(self, endpoint: Endpoint, call: Call, reply: Reply, client: str, mark: Mark | None) -> None:
        job = Job(call, endpoint.dialect, reply, client, self._timeout)
        job.mark = mark
        if len(call.request.body) < LARGE_BODY or self._house.pool is None:
            job.batch = endpoint.dialect.decode(call)
            self._submit(job)
            return
        loop = asyncio.get_running_loop()

        def read() -> None:
            try:
                job.batch = endpoint.dialect.decode(call)
            except RequestError as error:
                loop.call_soon_threadsafe(reply, self._refused(endpoint.dialect, error))
            except Exception:  # noqa: BLE001 - the border
                loop.call_soon_threadsafe(reply, self._failed(endpoint.dialect, call.request))
            else:
                loop.call_soon_threadsafe(self._submit_read, job)

        self._house.pool.submit(read)

    def _submit_read(self, job: Job) -> None:
        """Called by the loop itself: nobody else would answer what goes wrong."""
        try:
            self._submit(job)
        except Exception:  # noqa: BLE001 - the border
            job.settle(self._failed(job.dialect, job.call.request))

    def _submit(self, job: Job) -> None:
        if self._house.name is not None:
            job.identity = self._house.name(job.batch.id or job.call.request.headers.get("x-request-id", ""))
        try:
            if job.mark is not None:
                job.mark.check(job.batch)
            self.models.submit(job)
        except RequestError as error:
            job.settle(self._refused(job.dialect, error))

    def _in_thread(self, work: Callable[[], Response], reply: Reply) -> None:
        if self._house.pool is None:
            reply(work())
            return
        loop = asyncio.get_running_loop()

        def answer() -> None:
            response = work()
            with contextlib.suppress(RuntimeError):  # the loop has closed: the drain was cut
                loop.call_soon_threadsafe(reply, response)

        self._house.pool.submit(answer)

    # without one -----------------------------------------------------------------------------------
    def handle(self, request: Request, address: str = "", certificate: str = "") -> Response:
        """The answer to a request, in this thread and now; nothing of it is logged."""
        found = self.router.find(request.method, request.path)
        if found is None:
            return self._elsewhere(request, address, certificate)
        endpoint = found.choose(request)
        dialect = endpoint.dialect
        try:
            principal = self._admit(request, address, certificate, endpoint.route.scope)
            call = self._call(request, endpoint, found)
            call.client = principal.name
            if endpoint.route.answer is not None:
                return self._answered(found, endpoint, call)
            batch = dialect.decode(call)
            if principal.mark is not None:
                principal.mark.check(batch)
            predictions = self.models.predictor(call.subject).predict(batch)
            if call.subject.altered is not None:
                predictions = call.subject.altered.on(principal.name, batch, predictions)
            if principal.mark is not None:
                predictions = principal.mark.on(call.subject, predictions)
            return dialect.encode(call, batch, predictions)
        except RequestError as error:
            return self._refused(dialect, error)
        except Exception:  # noqa: BLE001 - the border
            return self._failed(dialect, request)

    # both ------------------------------------------------------------------------------------------
    def _admit(self, request: Request, address: str, certificate: str, scope: str) -> Principal:
        return self._guard.admit(
            *(request.method, request.path, request.headers, address), scope=scope, certificate=certificate
        )

    def _call(self, request: Request, endpoint: Endpoint, found: Found) -> Call:
        """The call, with the model that its path names, or the default one."""
        params = found.params
        subject: Subject | None
        if "model" in params and not (endpoint.route.answer and endpoint.route.scope == "admin"):
            subject = self.models.get(params["model"], params.get("version"), params.get("label"))
        else:
            subject = self.models.default()
        return Call(request, endpoint.route.verb, params, subject)

    def _answered(self, found: Found, endpoint: Endpoint, call: Call) -> Response:
        """The answer of a route that does not predict; the union of several where they share it."""
        try:
            if not endpoint.route.union or len(found.endpoints) == 1:
                assert endpoint.route.answer is not None
                return endpoint.route.answer(call)
            answers = [each.route.answer(call) for each in found.endpoints if each.route.answer]
            body: dict[str, Any] = {}
            for answer in answers:
                body |= orjson.loads(answer.body)
            return json_response(body, max(answer.status for answer in answers))
        except RequestError as error:
            return self._refused(endpoint.dialect, error)
        except Exception:  # noqa: BLE001 - the border
            return self._failed(endpoint.dialect, call.request)

    def refuse(self, path: str, error: RequestError) -> Response:
        """An error in the words of the dialect that the path belongs to."""
        found = self.router.find("POST", path) or self.router.find("GET", path)
        return self._refused(found.endpoints[0].dialect if found else self.router.speaker(path), error)

    def _refused(self, dialect: Dialect, error: RequestError) -> Response:
        """A refusal in a dialect's words, counted."""
        self.refused[error.status] += 1
        try:
            return dialect.error(error)
        except Exception:  # noqa: BLE001 - the border's border: even words may fail
            return Response(500, failure(f"an error of '{dialect.name}'").line.encode(), "text/plain")

    def _failed(self, dialect: Dialect, request: Request) -> Response:
        return self._refused(dialect, failure(f"{request.method} {request.path}"))

    # the routes that describe the others -----------------------------------------------------------
    def _pages(self) -> Sequence[Route]:
        home = Response(307, b"", "text/plain", (("location", "/docs"),))
        return (
            Route("GET", "/", "This server.", answer=lambda call: home),
            Route("GET", "/docs", "This page.", answer=lambda call: page.render(self.describe())),
            Route(
                "GET",
                "/openapi.json",
                "The OpenAPI description.",
                answer=lambda call: json_response(self.describe()),
            ),
        )

    def describe(self) -> dict[str, Any]:
        """The OpenAPI description of what is served at this moment; made once for the same versions: it takes long."""
        subjects = tuple(self.models.get(name) for name in self.models.names())
        if self._described is None or self._described[0] != subjects:
            self._described = subjects, openapi.describe(self.models, self._dialects, self._house.own)
        return self._described[1]
