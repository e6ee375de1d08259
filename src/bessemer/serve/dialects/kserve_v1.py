"""KServe V1, the TensorFlow Serving style: instances in, predictions out; plain or as CloudEvents.

https://kserve.github.io/website/latest/modelserving/data_plane/v1_protocol/, and the Python server of KServe 0.21.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from bessemer.serve import schemas
from bessemer.serve.cloud_events import Event, Replies, looks_like_event, read_event
from bessemer.serve.dialect import Call, Models, Route, Subject, asked_in_query, extra_ignored
from bessemer.serve.errors import RequestError
from bessemer.serve.health import no_browser
from bessemer.serve.row_writer import explanations
from bessemer.serve.wire import (
    JSON,
    Batch,
    Predictions,
    Request,
    Response,
    check_json,
    json_response,
    parse_json,
    to_json,
)


class KServeV1:
    """Instances are objects, or lists in the order of the signature.

    A model with one output gives bare predictions, one with several an object a row, as in TensorFlow Serving:
    regression a number, classification `{"prediction", "probability"}`. An event is answered by an event.
    """

    name: ClassVar[str] = "kserve_v1"
    title: ClassVar[str] = "KServe V1"
    explaining: ClassVar[bool] = True

    def __init__(self, models: Models) -> None:
        self._models = models
        self._replies = Replies()

    @property
    def routes(self) -> Sequence[Route]:
        one = "/v1/models/{model}"
        predict, explain = schemas.kserve_v1()
        return (
            Route("POST", f"{one}:predict", "Predict instances.", bodies=predict),
            Route("POST", f"{one}:explain", "Predict and explain instances.", verb="explain", bodies=explain),
            Route("GET", "/v1/models", "The models of this server.", answer=self._list),
            Route("GET", one, "Whether the model is ready.", answer=self._ready, union=True),
            Route(
                "GET", "/", "Whether the server lives.", answer=self._alive, accepts=no_browser, shown=False
            ),
        )

    def decode(self, call: Call) -> Batch:
        request, subject = call.request, call.subject
        event = None
        if request.headers.get("content-type") != JSON or "ce-id" in request.headers:
            event = read_event(request)
            if event is None or not event.binary:
                check_json(request)
        body = request.body if event is None else event.data
        asked = (bool(request.query) and asked_in_query(request)) or call.verb == "explain"
        identity = "" if event is None else event.attributes["id"]
        values = subject.rows.decode(body, "instances")
        if values is not None:
            explain = subject.explains(asked)
            return Batch(len(values), values, explain=explain, typed=True, id=identity, context=event)
        content = parse_json(body)
        if looks_like_event(content) and event is None:
            content = content["data"]
        if not isinstance(content, dict) or not isinstance(content.get("instances"), list):
            raise RequestError(400, "the body has no list 'instances'", fix='send {"instances": [{...}]}')
        values = subject.rows.read(content["instances"], ignore_extra=extra_ignored(request))
        return Batch(len(values), values, explain=subject.explains(asked), id=identity, context=event)

    def encode(self, call: Call, batch: Batch, predictions: Predictions) -> Response:
        rows = b",".join(call.subject.writer.bare(predictions))
        if predictions.base is None:
            answer = Response(200, b'{"predictions":[%b]}' % rows)
        else:
            told = to_json(explanations(predictions))
            answer = Response(200, b'{"predictions":[%b],"explanations":%b}' % (rows, told))
        event: Event | None = batch.context
        return answer if event is None else self._replies.reply(event, call.subject.name, answer)

    def error(self, error: RequestError) -> Response:
        return Response(error.status, to_json({"error": error.line}), headers=error.headers)

    def example(
        self, subject: Subject, rows: Sequence[Mapping[str, Any]], *, explain: bool = False
    ) -> Request:
        path = f"/v1/models/{subject.name}:{'explain' if explain else 'predict'}"
        return Request("POST", path, headers={"content-type": JSON}, body=to_json({"instances": list(rows)}))

    def _list(self, call: Call) -> Response:
        return json_response({"models": self._models.names()})

    def _ready(self, call: Call) -> Response:
        name = call.subject.name
        if call.subject.ready:
            return json_response({"name": name, "ready": True})
        return json_response(
            {"name": name, "ready": False, "error": f"Model with name {name} is not ready."}, 503
        )

    def _alive(self, call: Call) -> Response:
        return json_response({"status": "alive"})
