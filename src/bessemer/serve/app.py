"""From a request to a response: which dialect answers, and what an error becomes."""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass

from bessemer.core.errors import UsageError, did_you_mean, nearest
from bessemer.serve import openapi, page
from bessemer.serve.dialect import Dialect, Route, Subject
from bessemer.serve.errors import RequestError
from bessemer.serve.plugins import DIALECTS
from bessemer.serve.predictor import Predictor
from bessemer.serve.wire import Request, Response, json_response

log = logging.getLogger("bessemer.serve")


@dataclass(frozen=True)
class Endpoint:
    """A route and the dialect it belongs to."""

    dialect: Dialect
    route: Route


class App:
    """Everything a server does short of sockets and threads.

    `answer` is quick and may run on an event loop: it gives None for a request that needs a prediction, which
    `work` then answers and which may take as long as the model does. Neither raises.
    """

    def __init__(self, subject: Subject, predictor: Predictor) -> None:
        self.subject = subject
        self._predictor = predictor
        self._dialects = [DIALECTS.load(name)(subject) for name in subject.spec.dialects]
        self._table: dict[tuple[str, str], Endpoint] = {}
        for route in self._pages():
            self._table[route.method, route.path] = Endpoint(self._dialects[0], route)
        for dialect in self._dialects:
            for route in dialect.routes:
                self._add(route.method, route.at(subject.name, subject.version), Endpoint(dialect, route))

    def _add(self, method: str, path: str, endpoint: Endpoint) -> None:
        if (method, path) in self._table:
            other = self._table[method, path].dialect.name
            raise UsageError(
                f"the dialects '{other}' and '{endpoint.dialect.name}' both answer {method} {path}",
                fix="take one of them out of `serve.dialects`",
            )
        self._table[method, path] = endpoint

    def _pages(self) -> tuple[Route, ...]:
        """The routes that describe the others."""
        description = openapi.describe(self.subject, self._dialects)
        described = json_response(description)
        shown = page.render(description)
        home = Response(307, b"", "text/plain", (("location", "/docs"),))
        return (
            Route("GET", "/", "This server.", answer=lambda request: home),
            Route("GET", "/docs", "This page.", answer=lambda request: shown),
            Route("GET", "/openapi.json", "The OpenAPI description.", answer=lambda request: described),
        )

    def answer(self, request: Request) -> Response | None:
        """The response to a request that needs no prediction; None for one that does."""
        endpoint = self._find(request)
        if endpoint is None:
            return self.refuse(request.path, self._lost(request))
        if endpoint.route.answer is None:
            return None
        return endpoint.route.answer(request)

    def work(self, request: Request) -> Response:
        """Decode, predict, encode."""
        endpoint = self._find(request)
        assert endpoint is not None, "work is for requests that answer gave None for"
        dialect = endpoint.dialect
        try:
            batch = dialect.decode(request)
            return dialect.encode(batch, self._predictor.predict(batch))
        except RequestError as error:
            return dialect.error(error)
        except Exception:  # the border: whatever fails, the client gets an answer and the log the reason
            number = uuid.uuid4().hex[:12]
            log.exception("error %s at %s %s", number, request.method, request.path)
            return dialect.error(RequestError(500, f"internal error {number}", fix="see the server's log"))

    def refuse(self, path: str, error: RequestError) -> Response:
        """An error in the words of the dialect that the path belongs to."""
        return self._speaker(path).error(error)

    def _find(self, request: Request) -> Endpoint | None:
        method = "GET" if request.method == "HEAD" else request.method
        return self._table.get((method, request.path))

    def _speaker(self, path: str) -> Dialect:
        """The dialect whose paths share the most leading parts with this one; the first where none does."""
        head = path.split("/")[1:2]
        for (_, known), endpoint in self._table.items():
            if known.split("/")[1:2] == head:
                return endpoint.dialect
        return self._dialects[0]

    def _lost(self, request: Request) -> RequestError:
        """Why there is no answer at a method and path: the wrong method, model, version, or path."""
        methods = sorted({method for method, path in self._table if path == request.path})
        if methods:
            allowed = ", ".join(methods)
            headers = (("allow", allowed),)
            what = f"{request.path} does not take {request.method}"
            return RequestError(405, what, fix=f"use {allowed}", headers=headers)
        for route in (route for dialect in self._dialects for route in dialect.routes):
            found = _split(route.path, request.path)
            if found is not None:
                return self._unknown(found)
        paths = sorted({path for _, path in self._table})
        near = nearest(request.path, paths)
        fix = f"did you mean '{near}'?" if near else "GET /docs lists what there is"
        return RequestError(404, f"there is nothing at {request.path}", fix=fix)

    def _unknown(self, found: dict[str, str]) -> RequestError:
        subject = self.subject
        if found.get("model", subject.name) != subject.name:
            fix = did_you_mean(found["model"], [subject.name])
            return RequestError(404, f"there is no model '{found['model']}'", fix=fix)
        what = f"the model '{subject.name}' has no version '{found['version']}'"
        return RequestError(404, what, fix=did_you_mean(found["version"], [subject.version]))


def _split(template: str, path: str) -> dict[str, str] | None:
    """What stands in a path where its template has names, or None where it is another path.

    >>> _split("/v1/models/{model}:predict", "/v1/models/churn:predict")
    {'model': 'churn'}
    """
    parts, given = template.split("/"), path.split("/")
    if len(parts) != len(given):
        return None
    found: dict[str, str] = {}
    for part, text in zip(parts, given, strict=True):
        name, colon, verb = part.partition(":")
        if colon and not text.endswith(colon + verb):
            return None
        if name.startswith("{"):
            value = text.removesuffix(colon + verb)
            if not value or (not colon and ":" in value):
                return None
            found[name[1:-1]] = value
        elif part != text:
            return None
    return found or None
