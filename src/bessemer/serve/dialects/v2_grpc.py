"""The Open Inference Protocol over gRPC, with Triton's extensions: `inference.GRPCInferenceService`.

https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_grpc.md
https://github.com/triton-inference-server/common/blob/main/protobuf/grpc_service.proto
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from bessemer._version import __version__
from bessemer.core.signature import Field
from bessemer.serve import model_facts, rpc
from bessemer.serve.dialect import Call, Models, Route, Subject
from bessemer.serve.errors import RequestError
from bessemer.serve.infer import answered, read_batch
from bessemer.serve.infer_message import parameters_of, read_infer_message, write_infer_message
from bessemer.serve.protobuf import parse_message
from bessemer.serve.protos import message
from bessemer.serve.tensor_output import to_raw
from bessemer.serve.wire import GRPC, Batch, Predictions, Request, Response

SERVICE = "inference.GRPCInferenceService"


class V2Grpc:
    """As `v2`, in messages. Outputs are raw where the inputs are, else typed contents.

    Of a stream each message is answered in its order; a refusal is a message too.
    """

    name: ClassVar[str] = "v2_grpc"
    title: ClassVar[str] = "Open Inference Protocol (V2) over gRPC"
    explaining: ClassVar[bool] = True

    def __init__(self, models: Models) -> None:
        self._models = models

    @property
    def routes(self) -> Sequence[Route]:
        return (
            Route(GRPC, f"/{SERVICE}/ModelInfer", "Predict tensors."),
            Route(
                GRPC,
                f"/{SERVICE}/ModelStreamInfer",
                "Predict each message of a stream.",
                verb="stream",
                stream="in",
                broken=_broken,
            ),
            _answers("ServerLive", "Whether the server lives.", self._live),
            _answers("ServerReady", "Whether the server takes requests.", self._ready),
            _answers("ModelReady", "Whether the model is ready.", self._model_ready),
            _answers("ServerMetadata", "The server and its extensions.", self._server),
            _answers("ModelMetadata", "The model's inputs and outputs.", self._metadata),
            _answers("ModelConfig", "The model's configuration.", self._config),
            _answers("ModelStatistics", "What the models have done.", self._statistics),
            _answers("RepositoryIndex", "The models there are, loaded or not.", self._index),
            Route(
                GRPC, f"/{SERVICE}/RepositoryModelLoad", "Load a model.", self._load, slow=True, scope="admin"
            ),
            Route(
                GRPC,
                f"/{SERVICE}/RepositoryModelUnload",
                "Unload a model.",
                self._unload,
                slow=True,
                scope="admin",
            ),
        )

    def decode(self, call: Call) -> Batch:
        asked = parse_message("inference.ModelInferRequest", call.request.body)
        call.subject = self._models.get(asked.model_name or None, asked.model_version or None)
        batch = read_batch(call.subject, read_infer_message(asked))
        batch.timeout = rpc.sooner(batch.timeout, rpc.seconds_left(call.request))
        return batch

    def encode(self, call: Call, batch: Batch, predictions: Predictions) -> Response:
        outputs = answered(call.subject, batch, predictions)
        made = write_infer_message(call.subject, batch.context.id, outputs)
        if call.verb == "stream":
            return rpc.reply("inference.ModelStreamInferResponse", infer_response=made)
        return rpc.sent(made)

    def error(self, error: RequestError) -> Response:
        return rpc.refusal(error)

    def example(
        self, subject: Subject, rows: Sequence[Mapping[str, Any]], *, explain: bool = False
    ) -> Request:
        made = message("inference.ModelInferRequest")(model_name=subject.name)
        for field in subject.signature.inputs:
            datatype, array = _example_column(field, [row.get(field.name) for row in rows])
            made.inputs.add(name=field.name, datatype=datatype, shape=[len(rows), 1])
            made.raw_input_contents.append(to_raw(array))
        if explain:
            made.parameters["explain"].bool_param = True
        return Request(GRPC, f"/{SERVICE}/ModelInfer", body=made.SerializeToString())

    # methods that do not predict -------------------------------------------------------------------
    def _live(self, call: Call) -> Response:
        return rpc.reply("inference.ServerLiveResponse", live=True)

    def _ready(self, call: Call) -> Response:
        return rpc.reply("inference.ServerReadyResponse", ready=self._models.ready)

    def _subject(self, kind: str, call: Call) -> Subject:
        asked = parse_message(f"inference.{kind}Request", call.request.body)
        return self._models.get(asked.name or None, asked.version or None)

    def _model_ready(self, call: Call) -> Response:
        try:
            ready = self._subject("ModelReady", call).ready
        except RequestError as error:
            if error.status != 404:
                raise
            ready = False
        return rpc.reply("inference.ModelReadyResponse", ready=ready)

    def _server(self, call: Call) -> Response:
        about = {"name": "bessemer", "version": __version__, "extensions": model_facts.EXTENSIONS}
        return rpc.reply("inference.ServerMetadataResponse", **about)

    def _metadata(self, call: Call) -> Response:
        subject = self._subject("ModelMetadata", call)
        return rpc.reply("inference.ModelMetadataResponse", **model_facts.metadata(self._models, subject))

    def _config(self, call: Call) -> Response:
        told = model_facts.configuration(self._subject("ModelConfig", call))
        return rpc.reply("inference.ModelConfigResponse", config=told)

    def _statistics(self, call: Call) -> Response:
        asked = parse_message("inference.ModelStatisticsRequest", call.request.body)
        found = model_facts.all_statistics(self._models, asked.name or None, asked.version or None)
        return rpc.reply("inference.ModelStatisticsResponse", model_stats=found)

    def _index(self, call: Call) -> Response:
        asked = parse_message("inference.RepositoryIndexRequest", call.request.body)
        found = model_facts.index(self._models.index(), ready=asked.ready)
        return rpc.reply("inference.RepositoryIndexResponse", models=found)

    def _load(self, call: Call) -> Response:
        asked = parse_message("inference.RepositoryModelLoadRequest", call.request.body)
        name = _model_name(asked)
        model_facts.load(self._models, name, parameters_of(asked.parameters))
        return rpc.reply("inference.RepositoryModelLoadResponse", model_name=name, isLoaded=True)

    def _unload(self, call: Call) -> Response:
        asked = parse_message("inference.RepositoryModelUnloadRequest", call.request.body)
        name = _model_name(asked)
        self._models.unload(name)
        return rpc.reply("inference.RepositoryModelUnloadResponse", model_name=name, isUnloaded=True)


def _model_name(asked: Any) -> str:
    """The model of a request to the repository. KServe sends it where Triton has the repository's name."""
    return str(asked.model_name or asked.repository_name)


def _answers(method: str, summary: str, answer: Callable[[Call], Response]) -> Route:
    return Route(GRPC, f"/{SERVICE}/{method}", summary, answer)


def _broken(refused: Response) -> bytes:
    """A refusal in a stream, as Triton sends it."""
    text = refused.body.decode()
    return rpc.reply("inference.ModelStreamInferResponse", error_message=text).body


def _example_column(field: Field, values: list[Any]) -> tuple[str, np.ndarray[Any, Any]]:
    """A column as raw data: numbers and booleans as FP64 with NaN, text and timestamps as BYTES with ''."""
    if field.dtype in ("string", "timestamp"):
        return "BYTES", np.array(["" if value is None else str(value) for value in values], dtype=object)
    return "FP64", np.array(values, dtype=np.float64)
