"""KServe V1, the TensorFlow Serving style: instances in, predictions out.

https://kserve.github.io/website/latest/modelserving/data_plane/v1_protocol/
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from bessemer.serve import schemas
from bessemer.serve.columns import rows_to_feeds
from bessemer.serve.dialect import Route, Subject, extra_ignored, flag
from bessemer.serve.errors import RequestError, RowFault, bad_rows, shown
from bessemer.serve.rows import explanations, to_rows
from bessemer.serve.wire import JSON, Batch, Predictions, Request, Response, json_response, read_json, to_json


class KServeV1:
    """Instances are objects, or lists in the order of the signature.

    A model with one output gives bare predictions, one with several an object a row, as in TensorFlow Serving:
    regression a number, classification `{"prediction", "probability"}`.
    """

    name: ClassVar[str] = "kserve_v1"
    title: ClassVar[str] = "KServe V1"

    def __init__(self, subject: Subject) -> None:
        self._subject = subject

    @property
    def routes(self) -> Sequence[Route]:
        one = "/v1/models/{model}"
        predict, explain = schemas.kserve_v1(self._subject)
        return (
            Route("POST", f"{one}:predict", "Predict instances.", bodies=predict),
            Route("POST", f"{one}:explain", "Predict and explain instances.", bodies=explain),
            Route("GET", "/v1/models", "The models of this server.", answer=self._models),
            Route("GET", one, "Whether the model is ready.", answer=self._ready),
        )

    def decode(self, request: Request) -> Batch:
        subject = self._subject
        body = read_json(request)
        if not isinstance(body, dict) or not isinstance(body.get("instances"), list):
            raise RequestError(400, "the body has no list 'instances'", fix='send {"instances": [{...}]}')
        instances = body["instances"]
        subject.check_rows(len(instances))
        rows = [self._row(number, instance) for number, instance in enumerate(instances)]
        feeds = rows_to_feeds(rows, subject.signature.inputs, ignore_extra=extra_ignored(request))
        asked = request.path.endswith(":explain")
        return Batch(len(rows), feeds, subject.explains(asked or flag(request, "explain")))

    def _row(self, number: int, instance: Any) -> Any:
        """An instance as an object; a list takes its names from the signature."""
        if not isinstance(instance, list):
            return instance
        inputs = self._subject.signature.inputs
        if len(instance) != len(inputs):
            what = f"{len(instance)} values for {len(inputs)} inputs"
            fix = "send them in this order: " + ", ".join(field.name for field in inputs)
            raise bad_rows([RowFault(number, "", what, shown(instance), fix)])
        return {field.name: value for field, value in zip(inputs, instance, strict=True)}

    def encode(self, batch: Batch, predictions: Predictions) -> Response:
        rows: list[Any] = to_rows(self._subject.signature, predictions)
        bare = [{k: v for k, v in row.items() if k != "explanation"} for row in rows]
        several = "probability" in predictions.outputs
        answer: dict[str, Any] = {"predictions": bare if several else [row["prediction"] for row in bare]}
        if batch.explain:
            answer["explanations"] = explanations(predictions)
        return json_response(answer)

    def error(self, error: RequestError) -> Response:
        return Response(error.status, to_json({"error": error.line}), headers=error.headers)

    def example(self, rows: Sequence[dict[str, Any]], *, explain: bool = False) -> Request:
        path = f"/v1/models/{self._subject.name}:{'explain' if explain else 'predict'}"
        return Request("POST", path, headers={"content-type": JSON}, body=to_json({"instances": list(rows)}))

    def _models(self, request: Request) -> Response:
        return json_response({"models": [self._subject.name]})

    def _ready(self, request: Request) -> Response:
        ready = self._subject.ready
        return json_response({"name": self._subject.name, "ready": ready}, 200 if ready else 503)
