"""Seldon Core v1's REST API: predictions, feedback and metadata, with every kind of SeldonMessage.

https://docs.seldon.io/projects/seldon-core/en/v1.18/reference/apis/, held against the answers of seldon-core 1.18.2.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from bessemer.serve import service_schemas
from bessemer.serve.dialect import Call, Models, Route, Subject, asked_in_query, extra_ignored
from bessemer.serve.errors import RequestError, shown
from bessemer.serve.forms import is_form, read_form
from bessemer.serve.row_writer import explanations
from bessemer.serve.seldon_answers import further_tags, metadata, write_content
from bessemer.serve.seldon_messages import Asked, checked_name, read_payload
from bessemer.serve.seldon_rows import labels_of, read_batch
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

PUID = "seldon-puid"
#: A body that begins so is a SeldonMessage and no row: at `/predict`, which is the plain route's too.
_MESSAGE = re.compile(rb'\s*\{\s*"(?:(?:data|meta|status)"\s*:\s*\{|(?:jsonData|strData|binData)"\s*:)')
_LOOKED_AT = 256


class Seldon:
    """Rows come as `data` (ndarray, tensor, tftensor; with `names`, or in the order of the inputs), or as JSON in
    `jsonData`, `strData` or `binData`. Arrays are answered by the probability of each class, or by the number; the
    others, in their kind, by rows of JSON.
    """

    name: ClassVar[str] = "seldon"
    title: ClassVar[str] = "Seldon Core v1"
    explaining: ClassVar[bool] = True

    def __init__(self, models: Models) -> None:
        self._models = models

    @property
    def routes(self) -> Sequence[Route]:
        bodies = service_schemas.seldon()
        api, short, long = "/api/v1.0", "/seldon/{model}", "/seldon/{namespace}/{model}"
        predict = "Predict a SeldonMessage."
        behind = [
            route
            for prefix in (short, long)
            for route in (
                Route("POST", f"{prefix}{api}/predictions", predict, bodies=bodies, shown=False),
                self._feedback(f"{prefix}{api}/feedback"),
            )
        ]
        return (
            Route("POST", f"{api}/predictions", predict, bodies=bodies),
            Route("POST", "/api/v0.1/predictions", predict, bodies=bodies, shown=False),
            Route("POST", "/predict", predict, bodies=bodies, accepts=_is_ours, shown=False),
            Route("POST", f"{api}/explain", "Explain a SeldonMessage.", verb="explain", bodies=bodies),
            Route(
                "POST", f"{long}-explainer/{{predictor}}{api}/explain", "Explain a SeldonMessage.",
                verb="explain", bodies=bodies, shown=False,
            ),
            *behind,
            self._feedback(f"{api}/feedback"),
            self._feedback("/api/v0.1/feedback"),
            self._feedback("/send-feedback"),
            *self._facts(),
        )  # fmt: skip

    def _feedback(self, path: str) -> Route:
        return Route("POST", path, "Say what was true.", answer=self._take_feedback, slow=True, shown=False)

    def _facts(self) -> Sequence[Route]:
        def fact(path: str, answer: Any) -> Route:
            return Route("GET", path, "Health, or metadata.", answer=answer, shown=False)

        return (
            fact("/health/ping", lambda call: Response(200, b"pong", "text/html; charset=utf-8")),
            fact("/health/status", self._status),
            fact("/api/v1.0/health/status", self._status),
            fact("/api/v1.0/status/{model}", self._status),
            fact("/live", lambda call: Response(200, b"", "text/plain")),
            fact("/ready", self._ready),
            fact("/metadata", self._metadata),
            fact("/api/v1.0/metadata", self._graph),
            fact("/api/v1.0/metadata/{model}", self._metadata),
        )

    # predictions -----------------------------------------------------------------------------------
    def decode(self, call: Call) -> Batch:
        request, subject = call.request, call.subject
        payload = read_payload(_message(request))
        batch, alone = read_batch(subject, payload, ignore_extra=extra_ignored(request))
        asked = asked_in_query(request) or call.verb == "explain"
        batch.explain = subject.explains(asked)
        batch.id = payload.puid or named(request.headers)
        batch.context = Asked(payload, batch.id, alone)
        return batch

    def encode(self, call: Call, batch: Batch, predictions: Predictions) -> Response:
        asked: Asked = batch.context
        payload, subject = asked.payload, call.subject
        tags = dict(payload.tags)
        if predictions.base is not None and call.verb == "explain":
            content = b'"jsonData":%b' % to_json(explanations(predictions))
        else:
            content = write_content(subject, predictions, asked)
            if predictions.base is not None:
                tags["explanation"] = explanations(predictions)
            tags |= further_tags(predictions, subject, asked)
        meta: dict[str, Any] = {"puid": payload.puid} if payload.puid else {}
        if tags:
            meta["tags"] = tags
        meta["requestPath"] = {**payload.path, subject.name: f"{subject.name}:{subject.version}"}
        body = b'{%b,"meta":%b}' % (content, to_json(meta))
        return Response(200, body, headers=(("seldon-puid", asked.puid),))

    def error(self, error: RequestError) -> Response:
        reason = "MICROSERVICE_INTERNAL_ERROR" if error.status >= 500 else "MICROSERVICE_BAD_DATA"
        status = {"code": -1, "info": error.line, "reason": reason, "status": 1}
        return Response(error.status, to_json({"status": status}), headers=error.headers)

    def example(
        self, subject: Subject, rows: Sequence[Mapping[str, Any]], *, explain: bool = False
    ) -> Request:
        names = [field.name for field in subject.signature.inputs]
        table = [[row.get(name) for name in names] for row in rows]
        path = f"/api/v1.0/{'explain' if explain else 'predictions'}"
        body = to_json({"data": {"names": names, "ndarray": table}})
        return Request("POST", path, headers={"content-type": JSON}, body=body)

    # routes that do not predict --------------------------------------------------------------------
    def _take_feedback(self, call: Call) -> Response:
        message = _message(call.request)
        if not isinstance(message, dict):
            raise RequestError(400, f"Invalid JSON: {shown(message)} is no Feedback")
        parts = {key: message.get(key) or {} for key in ("request", "response")}
        puids = [_puid_of(parts["response"]), _puid_of(parts["request"]), call.request.headers.get(PUID, "")]
        truth = read_payload(message["truth"]) if message.get("truth") else None
        subject = call.subject
        self._models.feedback(
            subject.name, labels_of(subject, next(filter(None, puids), ""), truth), call.client
        )
        return json_response({"data": {"ndarray": []}, "meta": {}})

    def _status(self, call: Call) -> Response:
        self._check_ready()
        return json_response({"meta": {}, "strData": "healthy"})

    def _ready(self, call: Call) -> Response:
        self._check_ready()
        return Response(200, b"", "text/plain")

    def _check_ready(self) -> None:
        if not self._models.ready:
            raise RequestError(503, "the server is not ready")

    def _metadata(self, call: Call) -> Response:
        return json_response(metadata(self._models, call.subject))

    def _graph(self, call: Call) -> Response:
        """What the model says of itself, and what the executor says of a graph of one model."""
        one = metadata(self._models, call.subject)
        more = {
            "models": {call.subject.name: one},
            "graphinputs": one["inputs"],
            "graphoutputs": one["outputs"],
        }
        return json_response({**one, **more})


def named(headers: Mapping[str, str]) -> str:
    """What a request is called that says no puid itself: as its headers say, or by a new name."""
    return checked_name(headers.get(PUID) or headers.get("x-request-id", "")) or uuid.uuid4().hex


def _is_ours(request: Request) -> bool:
    if _MESSAGE.match(request.body[:_LOOKED_AT]) is not None:
        return True
    return is_form(request) and request.body.lstrip()[:1] not in (b"{", b"[")  # `curl -d` calls JSON a form


def _message(request: Request) -> Any:
    """The JSON of a request: its body, or what a form has as `json`, or the form's fields."""
    if not is_form(request) or request.body[:1] == b"{":  # curl -d calls JSON a form
        return parse_json(request.body)
    parts = read_form(request)
    if "json" in parts:
        return parse_json(parts["json"].body)
    found: dict[str, Any] = {}
    for name, part in parts.items():
        if name == "binData" and part.is_file:
            found[name] = part.body
        elif name == "strData":
            found[name] = part.body.decode("utf-8", "replace")
        else:
            found[name] = parse_json(part.body)
    return found


def _puid_of(message: Any) -> str:
    if not isinstance(message, dict) or not isinstance(message.get("meta") or {}, dict):
        raise RequestError(400, f"{shown(message)} is no SeldonMessage")
    puid = (message.get("meta") or {}).get("puid") or ""
    if not isinstance(puid, str):
        raise RequestError(400, f"the puid {shown(puid)} is not text")
    return puid
