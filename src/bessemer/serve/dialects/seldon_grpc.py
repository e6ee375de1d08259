"""Seldon Core v1's gRPC services: `seldon.protos.Seldon`, which an executor has, and `seldon.protos.Model`, of a model.

https://docs.seldon.io/projects/seldon-core/en/v1.18/reference/apis/prediction.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from bessemer.serve import rpc
from bessemer.serve.dialect import Call, Models, Route, Subject
from bessemer.serve.dialects.seldon import named
from bessemer.serve.errors import RequestError
from bessemer.serve.protobuf import parse_message
from bessemer.serve.protos import message
from bessemer.serve.row_writer import explanations
from bessemer.serve.seldon_answers import class_names, further_tags, metadata, output_of, write_rows
from bessemer.serve.seldon_messages import OTHERS, Asked, Payload, checked_name, shaped
from bessemer.serve.seldon_rows import labels_of, read_batch
from bessemer.serve.seldon_tensors import array_of, fill_proto
from bessemer.serve.wire import GRPC, Array, Batch, Predictions, Request, Response, parse_json

_PACKAGE = "seldon.protos"
_SELDON, _MODEL = f"/{_PACKAGE}.Seldon", f"/{_PACKAGE}.Model"
_WHOLE = 2.0**53  #: the doubles that are sure to be the whole numbers they were


class SeldonGrpc:
    """As `seldon`, in messages. The metadata `seldon` names the model, as it names the deployment to a gateway."""

    name: ClassVar[str] = "seldon_grpc"
    title: ClassVar[str] = "Seldon Core v1 (gRPC)"
    explaining: ClassVar[bool] = False

    def __init__(self, models: Models) -> None:
        self._models = models

    @property
    def routes(self) -> Sequence[Route]:
        feedback = "Say what was true."
        return (
            Route(GRPC, f"{_SELDON}/Predict", "Predict a SeldonMessage."),
            Route(GRPC, f"{_MODEL}/Predict", "Predict a SeldonMessage."),
            Route(GRPC, f"{_SELDON}/SendFeedback", feedback, answer=self._take_feedback, slow=True),
            Route(GRPC, f"{_MODEL}/SendFeedback", feedback, answer=self._take_feedback, slow=True),
            Route(GRPC, f"{_SELDON}/ModelMetadata", "A model's metadata.", answer=self._one),
            Route(GRPC, f"{_MODEL}/Metadata", "The model's metadata.", answer=self._metadata),
            Route(GRPC, f"{_SELDON}/GraphMetadata", "The metadata of all models.", answer=self._graph),
        )

    # predictions -----------------------------------------------------------------------------------
    def decode(self, call: Call) -> Batch:
        call.subject = subject = self._subject(call.request)
        payload = _payload(parse_message(f"{_PACKAGE}.SeldonMessage", call.request.body))
        batch, alone = read_batch(subject, payload)
        batch.explain = subject.explains(False)
        batch.id = payload.puid or named(call.request.headers)
        batch.timeout = rpc.seconds_left(call.request)
        batch.context = Asked(payload, batch.id, alone)
        return batch

    def encode(self, call: Call, batch: Batch, predictions: Predictions) -> Response:
        asked: Asked = batch.context
        subject, payload = call.subject, asked.payload
        answer = message(f"{_PACKAGE}.SeldonMessage")()
        if payload.kind in OTHERS:
            _fill_text(answer, payload.kind, write_rows(subject, predictions, asked))
        else:
            answer.data.names.extend(class_names(subject))
            _fill_array(answer.data, payload.kind, predictions.outputs[output_of(subject)])
        meta = answer.meta
        meta.puid = payload.puid
        tags = dict(payload.tags)
        if predictions.base is not None:
            tags["explanation"] = [_plain(each) for each in explanations(predictions)]
        told = further_tags(predictions, subject, asked)
        tags |= {name: np.asarray(each).tolist() for name, each in told.items()}
        for name, value in tags.items():
            _fill_value(meta.tags[name], value)
        meta.requestPath.update({**payload.path, subject.name: f"{subject.name}:{subject.version}"})
        response = rpc.sent(answer)
        response.headers = (("seldon-puid", asked.puid),)
        return response

    def error(self, error: RequestError) -> Response:
        return rpc.refusal(error)

    def example(
        self, subject: Subject, rows: Sequence[Mapping[str, Any]], *, explain: bool = False
    ) -> Request:
        names = [field.name for field in subject.signature.inputs]
        asked = message(f"{_PACKAGE}.SeldonMessage")()
        asked.data.names.extend(names)
        asked.data.ndarray.extend([[row.get(name) for name in names] for row in rows])
        if not rows:
            asked.data.ndarray.SetInParent()
        return Request(GRPC, f"{_SELDON}/Predict", body=asked.SerializeToString())

    # methods that do not predict -------------------------------------------------------------------
    def _subject(self, request: Request) -> Subject:
        return self._models.get(request.headers.get("seldon"))

    def _take_feedback(self, call: Call) -> Response:
        told = parse_message(f"{_PACKAGE}.Feedback", call.request.body)
        subject = self._subject(call.request)
        puid = (
            told.response.meta.puid or told.request.meta.puid or call.request.headers.get("seldon-puid", "")
        )
        truth = _payload(told.truth) if told.HasField("truth") else None
        self._models.feedback(subject.name, labels_of(subject, puid, truth), call.client)
        return rpc.reply(f"{_PACKAGE}.SeldonMessage", meta={"puid": puid})

    def _one(self, call: Call) -> Response:
        asked = parse_message(f"{_PACKAGE}.SeldonModelMetadataRequest", call.request.body)
        return rpc.sent(self._described(asked.name or None))

    def _metadata(self, call: Call) -> Response:
        return rpc.sent(self._described(call.request.headers.get("seldon")))

    def _graph(self, call: Call) -> Response:
        answer = message(f"{_PACKAGE}.SeldonGraphMetadata")(name="bessemer")
        for name in self._models.names():
            answer.models[name].CopyFrom(self._described(name))
        return rpc.sent(answer)

    def _described(self, name: str | None) -> Any:
        from google.protobuf import json_format

        facts = metadata(self._models, self._models.get(name))
        return json_format.ParseDict(facts, message(f"{_PACKAGE}.SeldonModelMetadata")())


def _payload(asked: Any) -> Payload:
    """The payload of a message.

    Raises:
        RequestError: 400 for what has none, or one of another kind.
    """
    kind, names = asked.WhichOneof("data_oneof"), ()
    value: Any = None
    if kind == "data":
        data = asked.data
        kind, names = data.WhichOneof("data_oneof"), tuple(data.names)
        if kind == "ndarray":
            value = [_json(each) for each in data.ndarray.values]
        elif kind == "tensor":
            value = shaped(tuple(data.tensor.shape), np.array(data.tensor.values, dtype=np.float64))
        elif kind == "tftensor":
            value = array_of(data.tftensor)
    elif kind == "jsonData":
        value = _json(asked.jsonData)
    elif kind in OTHERS:
        value = getattr(asked, kind)
    if value is None and kind != "jsonData":
        fix = "send data, jsonData, strData or binData"
        raise RequestError(400, f"the message has no payload ({kind})", fix=fix)
    meta = asked.meta
    tags = {name: _json(tag) for name, tag in meta.tags.items()}
    return Payload(kind, value, names, checked_name(meta.puid), tags, dict(meta.requestPath))


def _json(value: Any) -> Any:
    """A google.protobuf.Value as JSON: doubles that are whole as whole numbers, for it has no others; NaN is None."""
    kind = value.WhichOneof("kind")
    if kind == "number_value":
        number = value.number_value
        if number != number:
            return None
        return int(number) if abs(number) <= _WHOLE and number.is_integer() else number
    if kind == "list_value":
        return [_json(each) for each in value.list_value.values]
    if kind == "struct_value":
        return {name: _json(each) for name, each in value.struct_value.fields.items()}
    return getattr(value, kind) if kind in ("string_value", "bool_value") else None


def _fill_text(answer: Any, kind: str, text: bytes) -> None:
    if kind == "binData":
        answer.binData = text
    elif kind == "strData":
        answer.strData = text.decode("utf-8")
    else:
        _fill_value(answer.jsonData, parse_json(text))


def _fill_array(data: Any, kind: str, array: Array) -> None:
    if kind == "tensor":
        data.tensor.shape.extend(array.shape)
        data.tensor.values.extend(array.reshape(-1).tolist())
    elif kind == "tftensor":
        fill_proto(data.tftensor, array)
    else:
        data.ndarray.SetInParent()
        data.ndarray.extend(array.tolist())


def _fill_value(proto: Any, value: Any) -> None:
    """Make a google.protobuf.Value a JSON value."""
    from google.protobuf import json_format

    json_format.ParseDict(value, proto)


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    return {name: each.item() if isinstance(each, np.generic) else each for name, each in value.items()}
