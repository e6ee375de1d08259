"""The Open Inference Protocol (KServe V2) over HTTP, with Triton's extensions.

https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
https://github.com/triton-inference-server/server/tree/main/docs/protocol
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from bessemer._version import __version__
from bessemer.core.signature import Field
from bessemer.serve import model_facts, schemas
from bessemer.serve.dialect import Call, Models, Route, Subject, asked_in_query, extra_ignored
from bessemer.serve.dialects import v2_absent
from bessemer.serve.errors import RequestError, shown
from bessemer.serve.infer import answered, read_batch
from bessemer.serve.infer_request import JSON_LENGTH, read_infer_request
from bessemer.serve.tensor_output import output
from bessemer.serve.tensors import datatype_of
from bessemer.serve.wire import (
    BINARY,
    JSON,
    Batch,
    Predictions,
    Request,
    Response,
    json_response,
    read_json,
    to_json,
)


class V2:
    """One tensor an input column, of shape [N] or [N, 1]; missing is null, NaN, '' or the smallest INT64.

    A model of numbers alone takes one tensor [N, F] in their place. The request parameter `explain` adds the outputs
    `base` and `contribution_GROUP`.
    """

    name: ClassVar[str] = "v2"
    title: ClassVar[str] = "Open Inference Protocol (V2)"
    explaining: ClassVar[bool] = True

    def __init__(self, models: Models) -> None:
        self._models = models

    @property
    def routes(self) -> Sequence[Route]:
        model, version = "/v2/models/{model}", "/v2/models/{model}/versions/{version}"
        infer = schemas.v2()
        control = "/v2/repository/models/{model}"
        return (
            Route("POST", f"{model}/infer", "Predict tensors.", bodies=infer),
            Route("POST", f"{version}/infer", "Predict tensors with one version.", bodies=infer),
            Route("GET", "/v2", "The server and its extensions.", answer=self._server),
            Route("GET", "/v2/health/live", "Whether the server lives.", answer=self._live),
            Route("GET", "/v2/health/ready", "Whether the server takes requests.", answer=self._ready),
            Route("GET", "/v2/models", "The models of this server.", answer=self._list),
            Route("GET", model, "The model's inputs and outputs.", answer=self._metadata),
            Route("GET", version, "One version's inputs and outputs.", answer=self._metadata),
            Route("GET", f"{model}/ready", "Whether the model is ready.", answer=self._model_ready),
            Route("GET", f"{version}/ready", "Whether one version is ready.", answer=self._model_ready),
            Route("GET", f"{model}/config", "The model's configuration.", answer=self._config),
            Route("GET", f"{version}/config", "One version's configuration.", answer=self._config),
            Route("GET", "/v2/models/stats", "What all models have done.", answer=self._statistics),
            Route("GET", f"{model}/stats", "What the model has done.", answer=self._statistics),
            Route("GET", f"{version}/stats", "What one version has done.", answer=self._statistics),
            Route(
                "POST",
                "/v2/repository/index",
                "The models there are, loaded or not.",
                answer=self._index,
                bodies=schemas.v2_index(),
            ),
            Route("POST", f"{control}/load", "Load a model.", answer=self._load, slow=True, scope="admin"),
            Route(
                "POST", f"{control}/unload", "Unload a model.", answer=self._unload, slow=True, scope="admin"
            ),
            Route("GET", "/v2/logging", "What the server logs.", answer=_logging, shown=False),
            *v2_absent.routes(),
        )

    # a request -------------------------------------------------------------------------------------
    def decode(self, call: Call) -> Batch:
        asked = read_infer_request(call.request)
        if asked_in_query(call.request):
            asked = replace(asked, explain=True)
        return read_batch(call.subject, asked, ignore_extra=extra_ignored(call.request))

    # an answer -------------------------------------------------------------------------------------
    def encode(self, call: Call, batch: Batch, predictions: Predictions) -> Response:
        made = [
            output(wanted.name, array, binary=wanted.binary)
            for wanted, array in answered(call.subject, batch, predictions)
        ]
        subject = call.subject
        head: dict[str, Any] = {"model_name": subject.name, "model_version": subject.version}
        if batch.context.id is not None:
            head["id"] = batch.context.id
        text = to_json({**head, "outputs": [described for described, _ in made]})
        if not any(wanted.binary for wanted in batch.context.outputs):
            return Response(200, text)
        raw = b"".join(part for _, part in made)
        return Response(200, text + raw, BINARY, ((JSON_LENGTH, str(len(text))),))

    def error(self, error: RequestError) -> Response:
        return Response(error.status, to_json({"error": error.line}), headers=error.headers)

    def example(
        self, subject: Subject, rows: Sequence[Mapping[str, Any]], *, explain: bool = False
    ) -> Request:
        inputs = [
            _example_tensor(field, [row.get(field.name) for row in rows])
            for field in subject.signature.inputs
        ]
        body: dict[str, Any] = {"inputs": inputs}
        if explain:
            body["parameters"] = {"explain": True}
        path = f"/v2/models/{subject.name}/infer"
        return Request("POST", path, headers={"content-type": JSON}, body=to_json(body))

    # routes that do not predict --------------------------------------------------------------------
    def _server(self, call: Call) -> Response:
        about = {"name": "bessemer", "version": __version__, "extensions": model_facts.EXTENSIONS}
        return json_response(about)

    def _live(self, call: Call) -> Response:
        return json_response({"live": True})

    def _ready(self, call: Call) -> Response:
        return json_response({"ready": self._models.ready}, 200 if self._models.ready else 503)

    def _list(self, call: Call) -> Response:
        return json_response({"models": self._models.names()})

    def _model_ready(self, call: Call) -> Response:
        ready = call.subject.ready
        return json_response({"name": call.subject.name, "ready": ready}, 200 if ready else 503)

    def _metadata(self, call: Call) -> Response:
        return json_response(model_facts.metadata(self._models, call.subject))

    def _config(self, call: Call) -> Response:
        return json_response(model_facts.configuration(call.subject))

    def _statistics(self, call: Call) -> Response:
        name, version = call.params.get("model"), call.params.get("version")
        found = model_facts.all_statistics(self._models, name, version)
        return json_response({"model_stats": [{**each, "batch_stats": []} for each in found]})

    # the repository --------------------------------------------------------------------------------
    def _index(self, call: Call) -> Response:
        ready = _object(call.request).get("ready", False)
        if not isinstance(ready, bool):
            raise RequestError(400, f"'ready' is {shown(ready)}", fix="send true or false")
        return json_response(model_facts.index(self._models.index(), ready=ready))

    def _load(self, call: Call) -> Response:
        name = call.params["model"]
        model_facts.load(self._models, name, _parameters(call.request))
        return json_response({"name": name, "load": True})

    def _unload(self, call: Call) -> Response:
        name = call.params["model"]
        _parameters(call.request)  # unload_dependents: a package has none
        self._models.unload(name)
        return json_response({"name": name, "unload": True})


def _logging(call: Call) -> Response:
    log = logging.getLogger("bessemer.serve")
    levels = {"log_info": logging.INFO, "log_warnings": logging.WARNING, "log_errors": logging.ERROR}
    told = {name: log.isEnabledFor(level) for name, level in levels.items()}
    verbose = int(log.isEnabledFor(logging.DEBUG))
    return json_response({"log_file": "", **told, "log_verbose_level": verbose, "log_format": "default"})


def _object(request: Request) -> dict[str, Any]:
    """The body as an object; nothing is an empty one."""
    body = read_json(request) if request.body else {}
    if not isinstance(body, dict):
        raise RequestError(400, f"the body {shown(body)} is no object", fix="send {} or nothing")
    return body


def _parameters(request: Request) -> dict[str, Any]:
    found = _object(request).get("parameters") or {}
    if not isinstance(found, dict):
        raise RequestError(400, f"the parameters {shown(found)} are no object")
    return found


def _example_tensor(field: Field, values: list[Any]) -> dict[str, Any]:
    datatype = datatype_of(field)
    if any(isinstance(value, bool) for value in values):
        datatype = "BOOL"
    elif any(isinstance(value, str) for value in values):  # text, or a timestamp as ISO 8601 text
        datatype = "BYTES"
    return {"name": field.name, "shape": [len(values), 1], "datatype": datatype, "data": values}
