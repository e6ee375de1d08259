"""The container contract of Amazon SageMaker: `/ping`, `/invocations`, and `/models` for endpoints of several models.

https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html, cdf-inference.html and
mms-container-apis.html there.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from bessemer.core.errors import BessemerError
from bessemer.serve import table_schemas
from bessemer.serve.containers import package_at
from bessemer.serve.dialect import Call, Models, Route, Subject
from bessemer.serve.errors import RequestError, shown
from bessemer.serve.health import health
from bessemer.serve.media import negotiate
from bessemer.serve.sagemaker_bodies import ANSWERS, read_body, wants_explanations, write_answer
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

ATTRIBUTES = "x-amzn-sagemaker-custom-attributes"
TARGET = "x-amzn-sagemaker-target-model"
_PREFIX = "x-amzn-sagemaker-"
_IDENTITY = "x-amzn-sagemaker-inference-id"
_MOST_ATTRIBUTES = 1024
_PAGE = 100
#: A transform job may have so many megabytes in flight (MaxConcurrentTransforms * MaxPayloadInMB).
_MOST_IN_FLIGHT = 100

#: The words of AWS's own Multi Model Server for a status.
_TYPES: Mapping[int, str] = {
    404: "ModelNotFoundException",
    405: "MethodNotAllowedException",
    409: "ConflictStatusException",
    503: "ServiceUnavailableException",
    507: "OutOfMemoryError",
}


class SageMaker:
    """Answers are flat records with the columns of `Model.predict`, as JSON, CSV, JSON lines, .npy, .npz or RecordIO.

    `SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT` names the form where a request names none, and `SAGEMAKER_MULTI_MODEL` says
    that `/models/NAME` is SageMaker's and not TorchServe's; both are read when the server starts.
    """

    name: ClassVar[str] = "sagemaker"
    title: ClassVar[str] = "Amazon SageMaker"
    explaining: ClassVar[bool] = True

    def __init__(self, models: Models) -> None:
        self._models = models
        self._default = negotiate(os.environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", ""), ANSWERS, JSON)
        self._multi = os.environ.get("SAGEMAKER_MULTI_MODEL", "").lower() == "true"

    @property
    def routes(self) -> Sequence[Route]:
        bodies, one = table_schemas.sagemaker(), "/models/{model}"
        return (
            Route("POST", "/invocations", "Predict rows.", bodies=bodies),
            Route("POST", f"{one}/invoke", "Predict rows with one of the models.", bodies=bodies, shown=False),
            Route("GET", "/ping", "Whether the server takes requests.", answer=self._ping, union=True),
            Route("GET", "/execution-parameters", "For transform jobs.", answer=self._parameters, shown=False),
            Route("GET", "/models", "The loaded models.", answer=self._list, union=True, shown=False),
            Route("GET", one, "A loaded model.", answer=self._get, accepts=self._is_ours, shown=False),
            Route(
                "POST", "/models", "Load a model.", answer=self._load, accepts=_loads, slow=True, scope="admin",
                shown=False,
            ),
            Route(
                "DELETE", one, "Unload a model.", answer=self._unload, accepts=self._is_ours, slow=True,
                scope="admin", shown=False,
            ),
        )  # fmt: skip

    # predictions -----------------------------------------------------------------------------------
    def decode(self, call: Call) -> Batch:
        headers = call.request.headers
        if TARGET in headers and "model" not in call.params:  # behind SageMaker the path names the model
            call.subject = self._models.get(target_name(headers[TARGET]))
        kind = negotiate(headers.get("accept", ""), ANSWERS, self._default)
        batch = read_body(call.subject, call.request)
        batch.explain = call.subject.explains(wants_explanations(call.request))
        batch.context, batch.id = kind, headers.get(_IDENTITY, "")
        return batch

    def encode(self, call: Call, batch: Batch, predictions: Predictions) -> Response:
        body = write_answer(call.subject, predictions, batch.context)
        return Response(200, body, batch.context, echoed(call.request))

    def error(self, error: RequestError) -> Response:
        default = "InternalServerException" if error.status >= 500 else "BadRequestException"
        body = {"code": error.status, "type": _TYPES.get(error.status, default), "message": error.line}
        return Response(error.status, to_json(body), headers=error.headers)

    def example(
        self, subject: Subject, rows: Sequence[Mapping[str, Any]], *, explain: bool = False
    ) -> Request:
        headers = {"content-type": JSON}
        if explain:
            headers["x-amzn-sagemaker-enable-explanations"] = "`true`"
        return Request("POST", "/invocations", headers=headers, body=to_json({"instances": list(rows)}))

    # routes that do not predict --------------------------------------------------------------------
    def _ping(self, call: Call) -> Response:
        return health(self._models)

    def _parameters(self, call: Call) -> Response:
        spec = self._models.spec
        size = min(max(spec.max_body // 2**20, 1), _MOST_IN_FLIGHT)
        most = max(min(spec.threads, _MOST_IN_FLIGHT // size), 1)
        return json_response(
            {"MaxConcurrentTransforms": most, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": size}
        )

    def _is_ours(self, request: Request) -> bool:
        return self._multi or any(name.startswith(_PREFIX) for name in request.headers)

    def _list(self, call: Call) -> Response:
        start = _page(call.request.query.get("next_page_token", "0"))
        stop = start + (_page(call.request.query.get("limit", str(_PAGE))) or _PAGE)
        names = self._models.names()
        body: dict[str, Any] = {"models": [self._described(name) for name in names[start:stop]]}
        if stop < len(names):
            body["nextPageToken"] = str(stop)
        return json_response(body)

    def _described(self, name: str) -> dict[str, str]:
        return {"modelName": name, "modelUrl": self._models.versions(name)[0].source}

    def _get(self, call: Call) -> Response:
        return json_response(self._described(call.params["model"]))

    def _load(self, call: Call) -> Response:
        body = parse_json(call.request.body)
        name, url = (body.get("model_name"), body.get("url")) if isinstance(body, dict) else (None, None)
        if not (isinstance(name, str) and name and isinstance(url, str) and url):
            raise RequestError(
                400,
                "the body has no texts 'model_name' and 'url'",
                fix='send {"model_name": ..., "url": ...}',
            )
        if name in self._models.names():
            raise RequestError(409, f"the model {shown(name)} is loaded already", fix="unload it first")
        try:
            source = package_at(url)
        except BessemerError as error:
            raise RequestError(400, error.what, why=error.why, fix=error.fix) from None
        subject = self._models.load(source, name=name)
        return json_response({"status": f'Model "{subject.name}" is loaded'})

    def _unload(self, call: Call) -> Response:
        name = call.params["model"]
        self._models.unload(name)
        return json_response({"status": f'Model "{name}" unregistered'})


def _loads(request: Request) -> bool:
    """Whether `POST /models` is SageMaker's: TorchServe has its words in the query, MLeap others in the body."""
    return b'"model_name"' in request.body[:4096]


def _page(text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) < 10:
        return int(text)
    raise RequestError(400, f"{shown(text)} is no page", fix="send the nextPageToken of the last answer")


def target_name(target: str) -> str:
    """The name of the model in a TargetModel: the file's without its folder and ending.

    >>> target_name("/eu/churn.tar.gz"), target_name("churn")
    ('churn', 'churn')
    """
    name = Path(target).name
    return name.removesuffix(".tar.gz").removesuffix(".bsm")


def echoed(request: Request) -> tuple[tuple[str, str], ...]:
    """The custom attributes of a request, which its answer has too."""
    text = request.headers.get(ATTRIBUTES, "")
    if not text or not text.isascii() or not text.isprintable() or len(text) > _MOST_ATTRIBUTES:
        return ()
    return (("X-Amzn-SageMaker-Custom-Attributes", text),)
