"""GraphPipe: tensors in FlatBuffers over HTTP.

https://oracle.github.io/graphpipe/#/guide/user-guide/spec
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from bessemer._version import __version__
from bessemer.core.signature import Field
from bessemer.serve import graphpipe_messages as messages
from bessemer.serve.columns import rows_to_feeds
from bessemer.serve.dialect import Call, Models, Route, Subject, extra_ignored
from bessemer.serve.errors import RequestError, shown
from bessemer.serve.graphpipe_messages import About, InferMessage
from bessemer.serve.infer import answered, read_batch
from bessemer.serve.infer_inputs import MATRIX
from bessemer.serve.infer_request import InferRequest, Wanted
from bessemer.serve.tensor_output import to_raw
from bessemer.serve.tensor_values import Tensor
from bessemer.serve.tensors import datatype_of
from bessemer.serve.wire import BINARY, Batch, Predictions, Request, Response, json_response, parse_json

#: The context of a batch without rows that is answered with the metadata.
_ABOUT = "metadata"


class GraphPipe:
    """A tensor for each input, by its name or in the order of the inputs; of a model of numbers one matrix [N, F].

    The config `{"explain": true}` adds the outputs `base` and `contribution_GROUP`.
    """

    name: ClassVar[str] = "graphpipe"
    title: ClassVar[str] = "GraphPipe"
    explaining: ClassVar[bool] = True

    def __init__(self, models: Models) -> None:
        self._models = models

    @property
    def routes(self) -> Sequence[Route]:
        one = "/graphpipe/{model}"
        return (
            Route("POST", "/", "Predict tensors, or tell the metadata.", shown=False),
            Route("POST", one, "Predict tensors with one of the models.", shown=False),
            Route("POST", f"{one}/{{version}}", "Predict tensors with one version.", shown=False),
            Route("GET", "/", "The metadata.", answer=self._about, accepts=_wants_json, shown=False),
            Route("GET", one, "The metadata of a model.", answer=self._about),
            Route("GET", "/control/is_ready", "Whether it is ready.", answer=self._ready, shown=False),
            Route("GET", "/control/is_alive", "Whether it lives.", answer=_alive, shown=False),
        )

    def decode(self, call: Call) -> Batch:
        subject = call.subject
        message = messages.read_request(call.request.body, subject.spec.max_rows)
        if message is None:
            return Batch(0, values=[], context=_ABOUT)
        asked = InferRequest(
            tensors=_named(subject, message),
            outputs=tuple(Wanted(name, binary=True) for name in message.outputs),
            explain=_explain(message.config),
        )
        return read_batch(subject, asked, ignore_extra=extra_ignored(call.request))

    def encode(self, call: Call, batch: Batch, predictions: Predictions) -> Response:
        if batch.context == _ABOUT:
            return Response(200, messages.write_metadata(*_metadata(call.subject)), BINARY)
        arrays = [array for _, array in answered(call.subject, batch, predictions)]
        return Response(200, messages.write_infer_response(arrays), BINARY)

    def error(self, error: RequestError) -> Response:
        body = messages.write_error(error.status, error.line)
        return Response(error.status, body, BINARY, error.headers)

    def example(
        self, subject: Subject, rows: Sequence[Mapping[str, Any]], *, explain: bool = False
    ) -> Request:
        tensors = [_example_tensor(field, rows) for field in subject.signature.inputs]
        names = tuple(tensor.name for tensor in tensors)
        message = InferMessage('{"explain": true}' if explain else "", names, tuple(tensors), ())
        body = messages.write_infer_request(message)
        return Request("POST", f"/graphpipe/{subject.name}", headers={"content-type": BINARY}, body=body)

    # routes that do not predict --------------------------------------------------------------------
    def _about(self, call: Call) -> Response:
        (name, version, server, description), inputs, outputs = _metadata(call.subject)
        told = {"name": name, "version": version, "server": server, "description": description}
        return json_response({**told, "inputs": _listed(inputs), "outputs": _listed(outputs)})

    def _ready(self, call: Call) -> Response:
        if not self._models.ready:
            raise RequestError(503, "not ready")
        return _alive(call)


def _alive(call: Call) -> Response:
    return Response(200, b"ok\n", "text/plain")


def _wants_json(request: Request) -> bool:
    """Whether a client asks for JSON by name, as a browser, which gets the page of the routes, does not."""
    accept = request.headers.get("accept", "")
    return "application/json" in accept and "text/html" not in accept


def _explain(config: str) -> bool:
    """Whether the config, JSON where there is one, asks for explanations."""
    if not config:
        return False
    value = parse_json(config.encode("utf-8"))
    if (
        not isinstance(value, dict)
        or value.keys() - {"explain"}
        or type(value.get("explain", False)) is not bool
    ):
        raise RequestError(
            400, f"the config {shown(config)} is not known", fix='send {"explain": true}, or none'
        )
    return bool(value.get("explain", False))


def _named(subject: Subject, message: InferMessage) -> tuple[Tensor, ...]:
    """The tensors with the names of inputs, where they have none."""
    tensors, fields = message.tensors, subject.signature.inputs
    if message.names:
        return tensors
    if len(tensors) == 1 and len(fields) > 1:
        return (_renamed(tensors[0], MATRIX),)
    if len(tensors) != len(fields):
        what = f"the request has {len(tensors)} tensors without names for {len(fields)} inputs"
        raise RequestError(400, what, fix="name them, or send them in the order of the inputs")
    return tuple(_renamed(tensor, field.name) for tensor, field in zip(tensors, fields, strict=True))


def _renamed(tensor: Tensor, name: str) -> Tensor:
    return Tensor(name, tensor.datatype, tensor.shape, tensor.data, tensor.raw)


def _metadata(subject: Subject) -> tuple[tuple[str, ...], list[About], list[About]]:
    """Name, version of the server, server and description; the inputs; the outputs."""
    signature = subject.signature
    targets = ", ".join([signature.target, *(one.name for one in signature.further)])
    description = f"version {subject.version}, predicts {targets}"
    inputs = [About(field.name, field.dtype, (-1, 1), datatype_of(field)) for field in signature.inputs]
    outputs = [
        About(field.name, field.dtype, (-1, *field.shape), datatype_of(field)) for field in signature.outputs
    ]
    return (subject.name, __version__, "bessemer", description), inputs, outputs


def _listed(abouts: Sequence[About]) -> list[dict[str, Any]]:
    return [
        {
            "name": about.name,
            "description": about.description,
            "shape": about.shape,
            "type": messages.TYPES[about.datatype],
        }
        for about in abouts
    ]


def _example_tensor(field: Field, rows: Sequence[Mapping[str, Any]]) -> Tensor:
    """The column of an input: text as it is, numbers in the graph's type, missing as NaN or ''."""
    values = [(row.get(field.name),) for row in rows]
    if field.dtype == "string":
        return Tensor(field.name, "BYTES", (len(rows), 1), [value or "" for (value,) in values])
    raw = to_raw(rows_to_feeds(values, [field])[field.name])
    return Tensor(field.name, datatype_of(field), (len(rows), 1), raw=memoryview(raw))
