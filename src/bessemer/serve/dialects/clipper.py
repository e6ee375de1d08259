"""Clipper's query and management APIs: applications that answer in time, with a default where the model does not.

http://docs.clipper.ai; query_frontend.hpp and management_frontend.hpp of https://github.com/ucbrise/clipper (0.4).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from bessemer.serve import clipper_apps as apps
from bessemer.serve import service_schemas
from bessemer.serve.clipper_management import Management
from bessemer.serve.dialect import Call, Models, Route, Subject, extra_ignored
from bessemer.serve.errors import RequestError, shown
from bessemer.serve.frames import read_rows
from bessemer.serve.wire import (
    JSON,
    Batch,
    Predictions,
    Request,
    Response,
    parse_json,
    to_json,
)

_LATE = "Failed to retrieve a prediction response within the specified latency SLO"
_ANSWER = b'{"query_id":%d,"output":%b,"default":false}'
_DEFAULT = b'{"query_id":%d,"output":%b,"default":true,"default_explanation":%b}'
_ID_BITS = 48  #: a number that JSON readers of every language keep


class QueryError(RequestError):
    """A query that is understood and cannot be processed."""


@dataclass(frozen=True)
class _Asked:
    """What the answer must have: the number of the first query, and whether it is one that stands alone."""

    first: int
    alone: bool


class Clipper:
    """`{"input": ...}` is one row, `{"input_batch": [...]}` many: lists in the order of the inputs, or objects.

    An application is a model, or what the settings name. With `serve: {clipper: {slo, default}}` a query that is not
    answered in time is answered with the default output.
    """

    name: ClassVar[str] = "clipper"
    title: ClassVar[str] = "Clipper"
    explaining: ClassVar[bool] = False

    def __init__(self, models: Models) -> None:
        self._models = models
        self._spec = models.spec.clipper
        self._named = apps.applications(self._spec)
        self._management = Management(models, self._named)

    @property
    def routes(self) -> Sequence[Route]:
        bodies, own = service_schemas.clipper(), "/{model}/predict"
        named = [
            Route("POST", f"/{name}/predict", "Query the application.", verb=name, bodies=bodies)
            for name in self._named
        ]
        return (
            *named,
            Route("POST", own, "Query the model's application.", verb="", bodies=bodies),
            Route("POST", "/{app}/update", "Feedback.", answer=_update, shown=False),
            *self._management.routes,
        )

    # queries ---------------------------------------------------------------------------------------
    def decode(self, call: Call) -> Batch:
        request = call.request
        app = apps.application(self._spec, self._named, call.verb or call.params["model"])
        if call.verb:
            call.subject = self._models.get(app.model)
        alone, batch = self._read(call, app)
        batch.explain = call.subject.explains(False)
        batch.context = asked = _Asked(_number(request), alone)
        if app.slo is not None:
            batch.timeout, batch.late = app.slo, _late(app, batch.rows, asked)
        return batch

    def _read(self, call: Call, app: apps.Application) -> tuple[bool, Batch]:
        body = call.request.body
        if body[:20].lstrip().startswith(b'{"input_batch"'):
            values = call.subject.rows.decode(body, "input_batch")
            if values is not None:
                return len(values) == 1, Batch(len(values), values, typed=True)
        content = parse_json(body)
        if not isinstance(content, dict) or not ("input" in content or "input_batch" in content):
            raise RequestError(400, "JSON object does not have required keys input or input_batch")
        if "version" in content:
            call.subject = self._version(app, content["version"])
        ignore = extra_ignored(call.request)
        if "input" in content:
            row = content["input"]
            rows = [row if isinstance(row, dict | list) else [row]]
            return True, Batch(1, call.subject.rows.read(rows, ignore_extra=ignore))
        batch = read_rows(call.subject, content["input_batch"], "input_batch", ignore_extra=ignore)
        return batch.rows == 1, batch

    def _version(self, app: apps.Application, version: Any) -> Subject:
        if not isinstance(version, str):
            raise RequestError(400, f"the version {shown(version)} is not text", fix="send a JSON string")
        found = apps.find_model(self._models, app.model, version)
        if found is None:
            raise QueryError(400, f"Requested version: {version} does not exist for model: {app.model}")
        return found

    def encode(self, call: Call, batch: Batch, predictions: Predictions) -> Response:
        writer, asked = call.subject.writer, batch.context
        rows = writer.bare(predictions) if predictions.base is None else writer.rows(predictions)
        return Response(200, _joined([_ANSWER % (asked.first + i, row) for i, row in enumerate(rows)], asked))

    def error(self, error: RequestError) -> Response:
        unread = error.status == 400 and not isinstance(error, QueryError)
        name = "Json error" if unread else "Query processing error"
        return Response(error.status, to_json({"error": name, "cause": error.line}), headers=error.headers)

    def example(
        self, subject: Subject, rows: Sequence[Mapping[str, Any]], *, explain: bool = False
    ) -> Request:
        path = f"/{subject.name}/predict"
        body = to_json({"input_batch": list(rows)})
        return Request("POST", path, headers={"content-type": JSON}, body=body)


def _update(call: Call) -> Response:
    raise RequestError(
        501,
        "feedback is not taken at this route",
        why="Clipper's feedback names an input, and not the prediction that it is about",
        fix='send {"labels": [{"prediction_id": ..., "label": ...}]} to /feedback',
    )


def _number(request: Request) -> int:
    """The number of a query: of its `x-request-id`, or of its body where it has none."""
    name = request.headers.get("x-request-id", "").encode("utf-8") or request.body
    return int.from_bytes(hashlib.blake2b(name, digest_size=_ID_BITS // 8).digest(), "big")


def _late(app: apps.Application, rows: int, asked: _Asked) -> Response:
    why = to_json(_LATE)
    return Response(200, _joined([_DEFAULT % (asked.first + i, app.output, why) for i in range(rows)], asked))


def _joined(answers: Sequence[bytes], asked: _Asked) -> bytes:
    return answers[0] if asked.alone else b'{"batch_predictions":[%b]}' % b",".join(answers)
