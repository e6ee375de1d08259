"""TensorFlow Serving over gRPC: `tensorflow.serving.PredictionService` and `ModelService`.

https://github.com/tensorflow/serving/tree/master/tensorflow_serving/apis
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from bessemer.serve import rpc
from bessemer.serve import tensorflow_facts as facts
from bessemer.serve.dialect import Call, Models, Route, Subject
from bessemer.serve.errors import RequestError
from bessemer.serve.infer import answered, read_batch
from bessemer.serve.infer_request import InferRequest, Wanted
from bessemer.serve.protobuf import parse_message
from bessemer.serve.protos import message
from bessemer.serve.row_writer import class_key
from bessemer.serve.tensorflow_config import reload
from bessemer.serve.tensorflow_messages import read_input, read_tensor, write_tensor
from bessemer.serve.wire import GRPC, Array, Batch, Predictions, Request, Response

_SERVICE = "/tensorflow.serving.PredictionService"
_MODELS = "/tensorflow.serving.ModelService"
_P = "tensorflow.serving"
_REQUESTS = {"classify": "Classification", "regress": "Regression", "several": "MultiInference"}


class TensorFlowGrpc:
    """A tensor an input, [N] or [N, 1], or one [N, F] for a model of numbers; or tf.Examples."""

    name: ClassVar[str] = "tensorflow_grpc"
    title: ClassVar[str] = "TensorFlow Serving over gRPC"
    explaining: ClassVar[bool] = False

    def __init__(self, models: Models) -> None:
        self._models = models

    @property
    def routes(self) -> Sequence[Route]:
        return (
            Route(GRPC, f"{_SERVICE}/Predict", "Predict tensors."),
            Route(GRPC, f"{_SERVICE}/Classify", "Classify examples.", verb="classify"),
            Route(GRPC, f"{_SERVICE}/Regress", "Regress examples.", verb="regress"),
            Route(GRPC, f"{_SERVICE}/MultiInference", "Both, for the same examples.", verb="several"),
            Route(GRPC, f"{_SERVICE}/GetModelMetadata", "The signatures.", self._metadata),
            Route(GRPC, f"{_MODELS}/GetModelStatus", "The states of the versions.", self._status),
            Route(
                *(GRPC, f"{_MODELS}/HandleReloadConfigRequest", "Serve these models.", self._reload),
                slow=True,
                scope="admin",
            ),
        )

    # a request -------------------------------------------------------------------------------------
    def decode(self, call: Call) -> Batch:
        batch = self._predict(call) if call.verb == "predict" else self._examples(call)
        batch.timeout = rpc.seconds_left(call.request)
        return batch

    def _predict(self, call: Call) -> Batch:
        asked = parse_message(f"{_P}.PredictRequest", call.request.body)
        call.subject = subject = self._subject(asked.model_spec)
        facts.check_signature(subject, asked.model_spec.signature_name, "predict")
        names = asked.output_filter or facts.served_outputs(subject.signature)
        request = InferRequest(
            tensors=tuple(read_tensor(subject, name, given) for name, given in asked.inputs.items()),
            outputs=tuple(Wanted(name, binary=False) for name in names),
        )
        return read_batch(subject, request)

    def _examples(self, call: Call) -> Batch:
        asked = parse_message(f"{_P}.{_REQUESTS[call.verb]}Request", call.request.body)
        tasks = asked.tasks if call.verb == "several" else (asked,)
        if not tasks or len({task.model_spec.name for task in tasks}) > 1:
            raise RequestError(
                400, "the tasks are none, or of several models", fix="send the tasks of one model"
            )
        call.subject = subject = self._subject(tasks[0].model_spec)
        if call.verb == "several":
            methods = [task.method_name.rpartition("/")[2] for task in tasks]
            if not set(methods) <= {facts.CLASSIFY, facts.REGRESS}:
                raise RequestError(501, f"Unsupported signature method_name: {tasks[0].method_name}")
            if len(set(methods)) < len(methods):
                raise RequestError(400, "Duplicate evaluation of signature", fix="send each task once")
        else:
            methods = [call.verb]
        names = [
            facts.check_signature(subject, task.model_spec.signature_name, method)
            for task, method in zip(tasks, methods, strict=True)
        ]
        rows = read_input(subject, asked.input)
        outputs = ("probability",) if subject.signature.classes else ("prediction",)
        return Batch(len(rows), rows, outputs=outputs, context=names)

    def _subject(self, spec: Any) -> Subject:
        """The version that a ModelSpec names."""
        if not spec.name:
            raise RequestError(400, "Model spec has no name", fix="set model_spec.name")
        choice = spec.WhichOneof("version_choice")
        version = str(spec.version.value) if choice == "version" else None
        return self._models.get(spec.name, version, spec.version_label if choice == "version_label" else None)

    # an answer -------------------------------------------------------------------------------------
    def encode(self, call: Call, batch: Batch, predictions: Predictions) -> Response:
        subject = call.subject
        if call.verb == "predict":
            made = message(f"{_P}.PredictResponse")(model_spec=_spec(subject, facts.PREDICT))
            for wanted, array in answered(subject, batch, predictions):
                write_tensor(made.outputs[wanted.name], array)
            return rpc.sent(made)
        result = _result(subject, predictions)
        if call.verb != "several":
            kind = f"{_P}.{_REQUESTS[call.verb]}Response"
            return rpc.reply(kind, model_spec=_spec(subject, batch.context[0]), result=result)
        which = "classification_result" if subject.signature.classes else "regression_result"
        results = [{"model_spec": _spec(subject, name), which: result} for name in batch.context]
        return rpc.reply(f"{_P}.MultiInferenceResponse", results=results)

    def error(self, error: RequestError) -> Response:
        return rpc.refusal(error)

    def example(
        self, subject: Subject, rows: Sequence[Mapping[str, Any]], *, explain: bool = False
    ) -> Request:
        made = message(f"{_P}.PredictRequest")(model_spec={"name": subject.name})
        for field in subject.signature.inputs:
            values = [row.get(field.name) for row in rows]
            if field.dtype in ("string", "timestamp"):
                array: Array = np.array(["" if value is None else value for value in values], dtype=object)
            else:
                array = np.array(values, dtype=np.float64)
            write_tensor(made.inputs[field.name], array.reshape(-1, 1))
        return Request(GRPC, f"{_SERVICE}/Predict", body=made.SerializeToString())

    # methods that do not predict -------------------------------------------------------------------
    def _metadata(self, call: Call) -> Response:
        from google.protobuf.json_format import ParseDict

        asked = parse_message(f"{_P}.GetModelMetadataRequest", call.request.body)
        wrong = [name for name in asked.metadata_field if name != "signature_def"]
        if wrong or not asked.metadata_field:
            told = f"Metadata field {wrong[0]} is not supported" if wrong else "there is no metadata_field"
            raise RequestError(400, told, fix="ask for signature_def")
        subject = self._subject(asked.model_spec)
        defs = message(f"{_P}.SignatureDefMap")()
        ParseDict({"signature_def": facts.signature_defs(subject.signature)}, defs)
        made = message(f"{_P}.GetModelMetadataResponse")(model_spec=_spec(subject))
        made.metadata["signature_def"].Pack(defs)
        return rpc.sent(made)

    def _status(self, call: Call) -> Response:
        asked = parse_message(f"{_P}.GetModelStatusRequest", call.request.body)
        spec = asked.model_spec
        choice = spec.WhichOneof("version_choice")
        version = str(spec.version.value) if choice == "version" else None
        if choice == "version_label":
            version = self._subject(spec).version
        found = [
            {
                "version": int(each["version"]),
                "state": each["state"],
                "status": {"error_message": each["status"]["error_message"]},
            }
            for each in facts.version_statuses(self._models, spec.name, version)
        ]
        return rpc.reply(f"{_P}.GetModelStatusResponse", model_version_status=found)

    def _reload(self, call: Call) -> Response:
        reload(self._models, parse_message(f"{_P}.ReloadConfigRequest", call.request.body))
        return rpc.reply(f"{_P}.ReloadConfigResponse", status={})


def _spec(subject: Subject, signature: str = "") -> dict[str, Any]:
    return {"name": subject.name, "signature_name": signature, "version": {"value": subject.number}}


def _result(subject: Subject, predictions: Predictions) -> dict[str, Any]:
    """A ClassificationResult, or a RegressionResult."""
    if not subject.signature.classes:
        return {"regressions": [{"value": value} for value in predictions.outputs["prediction"].tolist()]}
    labels = [class_key(value) for value in subject.signature.classes]
    rows = predictions.outputs["probability"].tolist()
    made = [
        {"classes": [{"label": label, "score": p} for label, p in zip(labels, row, strict=True)]}
        for row in rows
    ]
    return {"classifications": made}
