"""The Open Inference Protocol (KServe V2, Triton), with binary tensors.

https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from bessemer._version import __version__
from bessemer.core.errors import did_you_mean
from bessemer.core.signature import Field
from bessemer.package.session import missing_tensor
from bessemer.serve import schemas
from bessemer.serve.dialect import Route, Subject, extra_ignored
from bessemer.serve.errors import RequestError, RowFault, bad_rows
from bessemer.serve.infer_request import JSON_LENGTH, InferRequest, read_infer_request
from bessemer.serve.tensors import Tensor, datatype_of, output, to_feed
from bessemer.serve.wire import (
    BINARY,
    JSON,
    Batch,
    Predictions,
    Request,
    Response,
    json_response,
    to_json,
)


@dataclass(frozen=True)
class _Answer:
    """What an answer must have: the request's id, the outputs by name, and which of them in binary."""

    id: str | None
    outputs: tuple[tuple[str, bool], ...]


class V2:
    """One tensor an input column, of shape [N] or [N, 1]; missing is null, NaN, '' or the smallest INT64.

    The request parameter `explain` adds the outputs `base` and `contribution_GROUP`.
    """

    name: ClassVar[str] = "v2"
    title: ClassVar[str] = "Open Inference Protocol (V2)"

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._inputs = {field.name: field for field in subject.signature.inputs}
        self._outputs = tuple(field.name for field in subject.signature.outputs)
        self._explaining = ("base", *(f"contribution_{group}" for group in subject.groups))

    @property
    def routes(self) -> Sequence[Route]:
        model, version = "/v2/models/{model}", "/v2/models/{model}/versions/{version}"
        infer = schemas.v2()
        return (
            Route("POST", f"{model}/infer", "Predict tensors.", bodies=infer),
            Route("POST", f"{version}/infer", "Predict tensors with one version.", bodies=infer),
            Route("GET", "/v2", "The server and its extensions.", answer=self._server),
            Route("GET", "/v2/health/live", "Whether the server lives.", answer=self._live),
            Route("GET", "/v2/health/ready", "Whether the server takes requests.", answer=self._ready),
            Route("GET", "/v2/models", "The models of this server.", answer=self._models),
            Route("GET", model, "The model's inputs and outputs.", answer=self._metadata),
            Route("GET", version, "One version's inputs and outputs.", answer=self._metadata),
            Route("GET", f"{model}/ready", "Whether the model is ready.", answer=self._model_ready),
            Route("GET", f"{version}/ready", "Whether one version is ready.", answer=self._model_ready),
        )

    # a request -------------------------------------------------------------------------------------
    def decode(self, request: Request) -> Batch:
        asked = read_infer_request(request)
        tensors = self._known(asked, ignore_extra=extra_ignored(request))
        rows = _agreed(tensors)
        self._subject.check_rows(rows)
        wanted = asked.explain or any(name in self._explaining for name, _ in asked.outputs)
        explain = self._subject.explains(wanted)
        return Batch(rows, self._feeds(tensors, rows), explain, context=self._answer(asked, explain))

    def _known(self, asked: InferRequest, *, ignore_extra: bool) -> dict[str, Tensor]:
        """The tensors of the model's inputs."""
        for tensor in asked.tensors:
            if tensor.name not in self._inputs and not ignore_extra:
                fix = did_you_mean(tensor.name, self._inputs)
                raise RequestError(400, f"the model has no input '{tensor.name}'", fix=fix)
        return {tensor.name: tensor for tensor in asked.tensors if tensor.name in self._inputs}

    def _answer(self, asked: InferRequest, explain: bool) -> _Answer:
        known = (*self._outputs, *(self._explaining if explain else ()))
        for name, _ in asked.outputs:
            if name not in known:
                raise RequestError(400, f"the model has no output '{name}'", fix=did_you_mean(name, known))
        return _Answer(asked.id, asked.outputs or tuple((name, asked.binary) for name in known))

    def _feeds(self, tensors: dict[str, Tensor], rows: int) -> dict[str, np.ndarray[Any, Any]]:
        feeds: dict[str, np.ndarray[Any, Any]] = {}
        faults: list[RowFault] = []
        for name, field in self._inputs.items():
            if name in tensors:
                try:
                    feeds[name] = to_feed(tensors[name], field)
                except RequestError as refused:
                    if not refused.faults:
                        raise
                    faults += refused.faults
            elif field.nullable:
                feeds[name] = np.repeat(missing_tensor(field), rows, axis=0)
            else:
                faults.append(RowFault(None, name, "this input is required and absent"))
        if faults:
            raise bad_rows(faults)
        return feeds

    # an answer -------------------------------------------------------------------------------------
    def encode(self, batch: Batch, predictions: Predictions) -> Response:
        asked: _Answer = batch.context
        arrays = dict(predictions.outputs)
        if predictions.base is not None:
            arrays["base"] = predictions.base
            arrays |= {f"contribution_{group}": each for group, each in predictions.contributions.items()}
        made = [output(name, arrays[name], binary=binary) for name, binary in asked.outputs]
        head: dict[str, Any] = {"model_name": self._subject.name, "model_version": self._subject.version}
        if asked.id is not None:
            head["id"] = asked.id
        text = to_json({**head, "outputs": [described for described, _ in made]})
        raw = b"".join(part for _, part in made)
        if not any(binary for _, binary in asked.outputs):
            return Response(200, text)
        return Response(200, text + raw, BINARY, ((JSON_LENGTH, str(len(text))),))

    def error(self, error: RequestError) -> Response:
        return Response(error.status, to_json({"error": error.line}), headers=error.headers)

    def example(self, rows: Sequence[dict[str, Any]], *, explain: bool = False) -> Request:
        inputs = [
            _example_tensor(field, [row.get(name) for row in rows]) for name, field in self._inputs.items()
        ]
        body: dict[str, Any] = {"inputs": inputs}
        if explain:
            body["parameters"] = {"explain": True}
        path = f"/v2/models/{self._subject.name}/infer"
        return Request("POST", path, headers={"content-type": JSON}, body=to_json(body))

    # routes that do not predict --------------------------------------------------------------------
    def _server(self, request: Request) -> Response:
        about = {"name": "bessemer", "version": __version__, "extensions": ["binary_tensor_data"]}
        return json_response(about)

    def _live(self, request: Request) -> Response:
        return json_response({"live": True})

    def _ready(self, request: Request) -> Response:
        return json_response({"ready": self._subject.ready}, 200 if self._subject.ready else 503)

    def _models(self, request: Request) -> Response:
        return json_response({"models": [self._subject.name]})

    def _model_ready(self, request: Request) -> Response:
        ready = self._subject.ready
        return json_response({"name": self._subject.name, "ready": ready}, 200 if ready else 503)

    def _metadata(self, request: Request) -> Response:
        signature = self._subject.signature
        about = {
            "name": self._subject.name,
            "versions": [self._subject.version],
            "platform": "onnx_onnxv1",
            "inputs": [_described(field, [-1, 1]) for field in signature.inputs],
            "outputs": [_described(field, [-1, *field.shape]) for field in signature.outputs],
        }
        return json_response(about)


def _agreed(tensors: dict[str, Tensor]) -> int:
    """How many rows the tensors have, all the same."""
    counts = {tensor.rows: name for name, tensor in tensors.items()}
    if not counts:
        raise RequestError(400, "the request has no inputs of this model")
    if len(counts) > 1:
        text = ", ".join(f"'{name}' has {rows}" for rows, name in sorted(counts.items()))
        raise RequestError(400, f"the inputs differ in their rows: {text}")
    return next(iter(counts))


def _described(field: Field, shape: list[int]) -> dict[str, Any]:
    return {"name": field.name, "datatype": datatype_of(field), "shape": shape}


def _example_tensor(field: Field, values: list[Any]) -> dict[str, Any]:
    datatype = datatype_of(field)
    if any(isinstance(value, bool) for value in values):
        datatype = "BOOL"
    elif any(isinstance(value, str) for value in values):  # text, or a timestamp as ISO 8601 text
        datatype = "BYTES"
    return {"name": field.name, "shape": [len(values), 1], "datatype": datatype, "data": values}
