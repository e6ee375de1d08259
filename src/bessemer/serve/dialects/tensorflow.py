"""TensorFlow Serving over HTTP: predict, classify, regress, metadata and status.

https://www.tensorflow.org/tfx/serving/api_rest and the server's sources (model_servers/http_rest_api_handler.cc,
util/json_tensor.cc).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import msgspec

from bessemer.serve import tensorflow_facts as facts
from bessemer.serve.dialect import Call, Models, Route, Subject
from bessemer.serve.errors import RequestError, shown
from bessemer.serve.loose_json import parse_loosely
from bessemer.serve.row_writer import class_key
from bessemer.serve.schemas import tensorflow as schemas
from bessemer.serve.tensorflow_json import (
    read_columns,
    read_examples,
    read_instances,
    tensor_json,
    write_rows,
)
from bessemer.serve.wire import JSON, Batch, Predictions, Request, Response, json_response, to_json

_KEYS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ONLY_HERE = ("inputs", "signature_name")


def _is_ours(request: Request) -> bool:
    """Whether a body at the path that KServe V1 has too is what only TensorFlow Serving takes."""
    body = request.body
    if b'"inputs"' not in body and b'"signature_name"' not in body:  # nearly every request: be quick
        return False
    try:
        return any(key in _ONLY_HERE for key in _KEYS.decode(body))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return b'"instances"' not in body


class TensorFlow:
    """Rows (`instances`) or columns (`inputs`); the outputs are `prediction`, `probability` and `score`.

    Where `kserve_v1` is spoken too, `POST /v1/models/NAME:predict` with instances and no signature is answered by it.
    """

    name: ClassVar[str] = "tensorflow"
    title: ClassVar[str] = "TensorFlow Serving"
    explaining: ClassVar[bool] = False

    def __init__(self, models: Models) -> None:
        self._models = models

    @property
    def routes(self) -> Sequence[Route]:
        one = "/v1/models/{model}"
        named = {"with one version": f"{one}/versions/{{version}}", "with a label": f"{one}/labels/{{label}}"}
        predict, classify, regress = schemas()
        routes = [
            Route("POST", f"{one}:predict", "Predict instances or inputs.", bodies=predict, accepts=_is_ours),
            Route("GET", one, "The states of the model's versions.", answer=self._status, union=True),
        ]
        for how, path in {"": one, **named}.items():
            words = f" {how}" if how else ""
            if how:
                routes.append(Route("POST", f"{path}:predict", f"Predict{words}.", bodies=predict))
                routes.append(Route("GET", path, f"The state{words}.", answer=self._status))
            routes.append(
                Route("POST", f"{path}:classify", f"Classify{words}.", verb="classify", bodies=classify)
            )
            routes.append(
                Route("POST", f"{path}:regress", f"Regress{words}.", verb="regress", bodies=regress)
            )
            routes.append(Route("GET", f"{path}/metadata", f"The signatures{words}.", answer=self._metadata))
        return routes

    # a request -------------------------------------------------------------------------------------
    def decode(self, call: Call) -> Batch:
        body, subject = call.request.body, call.subject
        if call.verb != "predict":
            return self._examples(call, parse_loosely(body))
        outputs = facts.served_outputs(subject.signature)
        values = subject.rows.decode(body, "instances")
        if values is not None:
            return Batch(len(values), values, outputs=outputs, typed=True, context="predictions")
        content = _object(parse_loosely(body))
        _signature(subject, content, "predict")
        if ("instances" in content) == ("inputs" in content):
            what = "both" if "inputs" in content else "neither"
            raise RequestError(
                400, f"the body has {what} of 'instances' and 'inputs'", fix='send {"instances": [{...}]}'
            )
        if "instances" in content:
            rows, form = read_instances(subject, content["instances"]), "predictions"
        else:
            rows, form = read_columns(subject, content["inputs"]), "outputs"
        return Batch(len(rows), rows, outputs=outputs, context=form)

    def _examples(self, call: Call, body: Any) -> Batch:
        content = _object(body)
        _signature(call.subject, content, call.verb)
        rows = read_examples(call.subject, content)
        outputs = ("probability",) if call.verb == "classify" else ("prediction",)
        return Batch(len(rows), rows, outputs=outputs)

    # an answer -------------------------------------------------------------------------------------
    def encode(self, call: Call, batch: Batch, predictions: Predictions) -> Response:
        if call.verb == "regress":
            return Response(200, b'{"results":%b}' % write_rows(predictions, ("prediction",)))
        if call.verb == "classify":
            return Response(200, b'{"results":%b}' % _classes(call.subject, predictions))
        if batch.context == "predictions":
            return Response(200, b'{"predictions":%b}' % write_rows(predictions, batch.outputs))
        tensors = {name: tensor_json(predictions.outputs[name]) for name in batch.outputs}
        if len(tensors) == 1:
            return Response(200, b'{"outputs":%b}' % next(iter(tensors.values())))
        inner = b",".join(to_json(name) + b":" + text for name, text in tensors.items())
        return Response(200, b'{"outputs":{%b}}' % inner)

    def error(self, error: RequestError) -> Response:
        status = 400 if error.status == 412 else error.status
        return Response(status, to_json({"error": error.line}), headers=error.headers)

    def example(
        self, subject: Subject, rows: Sequence[Mapping[str, Any]], *, explain: bool = False
    ) -> Request:
        body = to_json({"signature_name": facts.PREDICT, "instances": list(rows)})
        path = f"/v1/models/{subject.name}/versions/{subject.number}:predict"
        return Request("POST", path, headers={"content-type": JSON}, body=body)

    # routes that do not predict --------------------------------------------------------------------
    def _status(self, call: Call) -> Response:
        named = "version" in call.params or "label" in call.params
        version = call.subject.version if named else None
        found = facts.version_statuses(self._models, call.subject.name, version)
        return json_response({"model_version_status": found})

    def _metadata(self, call: Call) -> Response:
        told = {"signature_def": {"signature_def": facts.signature_defs(call.subject.signature)}}
        return json_response({"model_spec": facts.model_spec(call.subject), "metadata": told})


def _object(content: Any) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise RequestError(400, f"the body {shown(content)} is no object", fix='send {"instances": [{...}]}')
    return content


def _signature(subject: Subject, content: Mapping[str, Any], method: str) -> None:
    name = content.get("signature_name", "")
    if not isinstance(name, str):
        raise RequestError(400, f"'signature_name' is {shown(name)}, not text")
    facts.check_signature(subject, name, method)


def _classes(subject: Subject, predictions: Predictions) -> bytes:
    """For each row the label and score of each class."""
    labels = [to_json(class_key(value)).replace(b"%", b"%%") for value in subject.signature.classes]
    template = b"[" + b",".join(b"[" + label + b",%b]" for label in labels) + b"]"
    texts = predictions.texts("probability")
    return b"[%b]" % b",".join([template % tuple(text.split(b",")) for text in texts])
