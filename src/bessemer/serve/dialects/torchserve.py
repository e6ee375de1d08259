"""TorchServe's REST APIs: inference, explanations and model management.

https://github.com/pytorch/serve/blob/master/docs/rest_api.md, held against the answers of TorchServe 0.12.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from bessemer.serve import openapi, service_schemas
from bessemer.serve import torchserve_api as api
from bessemer.serve.dialect import Call, Models, Route, Subject, asked_in_query, extra_ignored
from bessemer.serve.errors import RequestError, shown
from bessemer.serve.forms import is_form, read_form
from bessemer.serve.health import health
from bessemer.serve.media import media_type
from bessemer.serve.torchserve_errors import exception_of
from bessemer.serve.wire import (
    JSON,
    Batch,
    Predictions,
    Request,
    Response,
    json_response,
    parse_json,
    to_json,
)


class TorchServe:
    """A model's handler takes rows as JSON in any form, CSV, or the part `data` of a form, and gives a list of rows.

    A row that stands alone is answered by its prediction alone. `/explanations` gives what explains each row.
    """

    name: ClassVar[str] = "torchserve"
    title: ClassVar[str] = "TorchServe"
    explaining: ClassVar[bool] = True

    def __init__(self, models: Models) -> None:
        self._models = models

    @property
    def routes(self) -> Sequence[Route]:
        return (*self._inference(), *self._management())

    def _inference(self) -> Sequence[Route]:
        predict, explain = service_schemas.torchserve()
        one, explained = "/predictions/{model}", "/explanations/{model}"
        more = [
            Route(method, f"{one}{tail}", "Predict rows.", bodies=predict, shown=False)
            for tail in ("", "/{version}")
            for method in ("GET", "PUT")
        ]
        return (
            Route("POST", one, "Predict rows.", bodies=predict),
            Route("POST", f"{one}/{{version}}", "Predict rows with one version.", bodies=predict),
            *more,
            Route("POST", explained, "Explain rows.", verb="explain", bodies=explain),
            Route("POST", f"{explained}/{{version}}", "Explain rows.", verb="explain", bodies=explain),
            Route("GET", "/ping", "Whether the server takes requests.", answer=self._ping, union=True),
            Route("OPTIONS", "/", "These routes.", answer=self._describe_api, shown=False),
            Route("GET", "/api-description", "These routes.", answer=self._describe_api, shown=False),
        )

    def _management(self) -> Sequence[Route]:
        one = "/models/{model}"

        def changes(method: str, path: str, summary: str, answer: Callable[[Call], Response]) -> Route:
            return Route(method, path, summary, answer=answer, slow=True, scope="admin", shown=False)

        return (
            Route("GET", "/models", "The models.", answer=self._list, union=True, shown=False),
            Route("GET", one, "A model.", answer=self._describe, shown=False),
            Route("GET", f"{one}/all", "A model's versions.", answer=self._describe_all, shown=False),
            Route("GET", f"{one}/{{version}}", "One version.", answer=self._describe, shown=False),
            changes("POST", "/models", "Load a package.", self._register),
            changes("PUT", one, "Set the number of workers.", self._scale),
            changes("PUT", f"{one}/{{version}}", "Set the number of workers.", self._scale),
            changes("PUT", f"{one}/{{version}}/set-default", "Make a version the default.", self._default),
            changes("DELETE", one, "Take a model out of service.", self._unregister),
            changes("DELETE", f"{one}/{{version}}", "Take a version out of service.", self._unregister),
        )

    # predictions -----------------------------------------------------------------------------------
    def decode(self, call: Call) -> Batch:
        request, subject = call.request, call.subject
        ignore = extra_ignored(request)
        if is_form(request) and request.body[:1] not in b"{[":  # curl -d calls JSON a form
            found = api.read_parts(subject, read_form(request), ignore_extra=ignore)
        else:
            kind, _ = media_type(request)
            found = api.read_body(subject, request.body, kind, ignore_extra=ignore)
        asked = asked_in_query(request) or call.verb == "explain"
        values = found.values
        return Batch(
            len(values), values, explain=subject.explains(asked), typed=found.typed, context=found.alone
        )

    def encode(self, call: Call, batch: Batch, predictions: Predictions) -> Response:
        explained = call.verb == "explain"
        body = api.write_answer(call.subject, predictions, alone=batch.context, explained=explained)
        return Response(200, body)

    def error(self, error: RequestError) -> Response:
        body = {"code": error.status, "type": exception_of(error), "message": error.line}
        return Response(error.status, api.pretty(body), headers=error.headers)

    def example(
        self, subject: Subject, rows: Sequence[Mapping[str, Any]], *, explain: bool = False
    ) -> Request:
        path = f"/{'explanations' if explain else 'predictions'}/{subject.name}"
        return Request("POST", path, headers={"content-type": JSON}, body=to_json(list(rows)))

    # routes that do not predict --------------------------------------------------------------------
    def _ping(self, call: Call) -> Response:
        return health(self._models)

    def _describe_api(self, call: Call) -> Response:
        return json_response(openapi.describe(self._models, [self]))

    def _list(self, call: Call) -> Response:
        limit, start = _whole(call, "limit", 100), _whole(call, "next_page_token", 0)
        return _answer(api.listed(self._models, limit, start))

    def _describe(self, call: Call) -> Response:
        return _answer(api.described(self._models, call.params["model"], call.params.get("version")))

    def _describe_all(self, call: Call) -> Response:
        return _answer(api.described(self._models, call.params["model"], "all"))

    def _register(self, call: Call) -> Response:
        asked: Mapping[str, Any] = call.request.query
        if media_type(call.request)[0] == JSON:
            body = parse_json(call.request.body)
            if not isinstance(body, dict):
                raise RequestError(400, f"the body is {shown(body)}, not an object")
            asked = body
        url, name = asked.get("url", ""), asked.get("model_name", "")
        if not isinstance(url, str) or not isinstance(name, str):
            raise RequestError(400, "'url' and 'model_name' must be text")
        return _said(api.registered(self._models, url, name))

    def _scale(self, call: Call) -> Response:
        least = _whole(call, "min_worker", 1)
        most = _whole(call, "max_worker", least)
        version = call.params.get("version") or call.request.query.get("model_version")
        return _said(api.scaled(self._models, call.params["model"], version, least, most))

    def _default(self, call: Call) -> Response:
        return _said(api.made_default(self._models, call.params["model"], call.params["version"]))

    def _unregister(self, call: Call) -> Response:
        return _said(api.unregistered(self._models, call.params["model"], call.params.get("version")))


def _answer(value: Any) -> Response:
    return Response(200, api.pretty(value))


def _said(text: str) -> Response:
    return _answer({"status": text})


def _whole(call: Call, name: str, default: int) -> int:
    """A whole number of the query."""
    text = call.request.query.get(name)
    if text is None:
        return default
    if len(text) < 10 and text.lstrip("-").isdigit() and text.isascii():
        return int(text)
    raise RequestError(400, f"?{name}={shown(text)} is not a whole number")
