"""TorchServe's gRPC services: `InferenceAPIsService` and `ManagementAPIsService`.

https://github.com/pytorch/serve/blob/master/docs/grpc_api.md, held against the answers of TorchServe 0.12.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from bessemer.serve import protos, rpc
from bessemer.serve import torchserve_api as api
from bessemer.serve.dialect import Call, Models, Route, Subject
from bessemer.serve.errors import RequestError
from bessemer.serve.forms import Part
from bessemer.serve.health import health
from bessemer.serve.protobuf import parse_message
from bessemer.serve.torchserve_errors import java_class
from bessemer.serve.wire import GRPC, Batch, Predictions, Request, Response, to_json

_INFERENCE = "org.pytorch.serve.grpc.inference"
_MANAGEMENT = "org.pytorch.serve.grpc.management"
_PREDICT = f"/{_INFERENCE}.InferenceAPIsService"
_MANAGE = f"/{_MANAGEMENT}.ManagementAPIsService"
_INTERNAL = 13  #: of google.rpc.Code, which is what TorchServe says of every failed inference in a stream


@dataclass(frozen=True)
class _Asked:
    """What the answer must have of the request."""

    alone: bool
    sequence: str | None


class TorchServeGrpc:
    """The input map's `data` or `body` is JSON in any form; other keys are the values of one row, as text."""

    name: ClassVar[str] = "torchserve_grpc"
    title: ClassVar[str] = "TorchServe (gRPC)"
    explaining: ClassVar[bool] = False

    def __init__(self, models: Models) -> None:
        self._models = models

    @property
    def routes(self) -> Sequence[Route]:
        predict, stream = "Predict rows.", f"{_PREDICT}/StreamPredictions"
        return (
            Route(GRPC, f"{_PREDICT}/Ping", "Whether the server takes requests.", answer=self._ping),
            Route(GRPC, f"{_PREDICT}/Predictions", predict),
            Route(GRPC, stream, predict, stream="out"),
            Route(GRPC, f"{stream}2", predict, verb="stream", stream="in", broken=_broken),
            Route(GRPC, f"{_MANAGE}/DescribeModel", "A model's versions.", answer=self._describe),
            Route(GRPC, f"{_MANAGE}/ListModels", "The models.", answer=self._list),
            self._changes("RegisterModel", "Load a package.", self._register),
            self._changes("ScaleWorker", "Set the number of workers.", self._scale),
            self._changes("SetDefault", "Make a version the default.", self._default),
            self._changes("UnregisterModel", "Take a model out of service.", self._unregister),
        )

    def _changes(self, method: str, summary: str, answer: Callable[[Call], Response]) -> Route:
        return Route(GRPC, f"{_MANAGE}/{method}", summary, answer=answer, slow=True, scope="admin")

    # predictions -----------------------------------------------------------------------------------
    def decode(self, call: Call) -> Batch:
        message = parse_message(f"{_INFERENCE}.PredictionsRequest", call.request.body)
        if not message.model_name:
            raise RequestError(400, "Parameter model_name is required.")
        sequence = message.sequence_id if message.HasField("sequence_id") else None
        if call.verb == "stream" and not sequence:
            raise RequestError(400, "Parameter sequenceId is required.")
        call.subject = subject = self._models.get(message.model_name, message.model_version or None)
        found = api.read_parts(subject, {name: Part(value) for name, value in message.input.items()})
        return Batch(
            len(found.values),
            found.values,
            explain=subject.explains(False),
            typed=found.typed,
            timeout=rpc.seconds_left(call.request),
            context=_Asked(found.alone, sequence),
        )

    def encode(self, call: Call, batch: Batch, predictions: Predictions) -> Response:
        asked: _Asked = batch.context
        body = api.write_answer(call.subject, predictions, alone=asked.alone, explained=False)
        message = protos.message(f"{_INFERENCE}.PredictionResponse")(prediction=body)
        if asked.sequence is not None:
            message.sequence_id = asked.sequence
        return rpc.sent(message)

    def error(self, error: RequestError) -> Response:
        text = f"{error.line}\n{java_class(error)}"
        return Response(error.status, text.encode("utf-8"), rpc.PROTOBUF, error.headers)

    def example(
        self, subject: Subject, rows: Sequence[Mapping[str, Any]], *, explain: bool = False
    ) -> Request:
        kind = protos.message(f"{_INFERENCE}.PredictionsRequest")
        message = kind(model_name=subject.name, input={"data": to_json(list(rows))})
        return Request(GRPC, f"{_PREDICT}/Predictions", body=message.SerializeToString())

    # routes that do not predict --------------------------------------------------------------------
    def _ping(self, call: Call) -> Response:
        text = api.pretty({"status": "Healthy" if health(self._models).status == 200 else "Unhealthy"})
        return rpc.reply(f"{_INFERENCE}.TorchServeHealthResponse", health=text.decode().rstrip("\n"))

    def _describe(self, call: Call) -> Response:
        asked = _asked(call, "DescribeModel")
        return _told(api.described(self._models, asked.model_name, asked.model_version))

    def _list(self, call: Call) -> Response:
        asked = _asked(call, "ListModels")
        return _told(api.listed(self._models, asked.limit or 100, asked.next_page_token))

    def _register(self, call: Call) -> Response:
        asked = _asked(call, "RegisterModel")
        return _said(api.registered(self._models, asked.url, asked.model_name))

    def _scale(self, call: Call) -> Response:
        asked = _asked(call, "ScaleWorker")
        least = asked.min_worker or 1
        most = asked.max_worker or least
        return _said(api.scaled(self._models, asked.model_name, asked.model_version, least, most))

    def _default(self, call: Call) -> Response:
        asked = _asked(call, "SetDefault")
        return _said(api.made_default(self._models, asked.model_name, asked.model_version))

    def _unregister(self, call: Call) -> Response:
        asked = _asked(call, "UnregisterModel")
        return _said(api.unregistered(self._models, asked.model_name, asked.model_version))


def _asked(call: Call, method: str) -> Any:
    """The request of a management method."""
    return parse_message(f"{_MANAGEMENT}.{method}Request", call.request.body)


def _told(value: Any) -> Response:
    return _said(api.pretty(value).decode("utf-8").rstrip("\n"))


def _said(text: str) -> Response:
    return rpc.reply(f"{_MANAGEMENT}.ManagementResponse", msg=text)


def _broken(response: Response) -> bytes:
    """A refusal as a message of the stream, which goes on."""
    text = response.body.decode("utf-8", "replace").rpartition("\n")[0]
    status = {"code": _INTERNAL, "message": text}
    return bytes(protos.message(f"{_INFERENCE}.PredictionResponse")(status=status).SerializeToString())
