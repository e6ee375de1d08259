"""The SageMaker runtime API, which AWS's SDKs speak: `boto3.client("sagemaker-runtime").invoke_endpoint`.

The service model `sagemaker-runtime` 2017-05-13 of botocore 1.43 (protocol rest-json).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from uuid import uuid4

from bessemer.serve import table_schemas
from bessemer.serve.dialect import Call, Models, Route, Subject
from bessemer.serve.dialects.sagemaker import TARGET, SageMaker, target_name
from bessemer.serve.errors import RequestError
from bessemer.serve.wire import Batch, Predictions, Request, Response, to_json

_VARIANT = "x-amzn-sagemaker-target-variant"
#: Errors that are not the model's; all others are a ModelError, as AWS gives what a container refuses.
_ERRORS: Mapping[int, tuple[int, str]] = {
    401: (403, "AccessDeniedException"),
    403: (403, "AccessDeniedException"),
    404: (400, "ValidationError"),
    405: (400, "ValidationError"),
    408: (400, "ValidationError"),
    429: (429, "ThrottlingException"),
    431: (400, "ValidationError"),
    503: (503, "ServiceUnavailable"),
}
_MODEL_ERROR = 424


class SageMakerRuntime:
    """An endpoint's name is a model's; where one model is loaded, any name is its. TargetModel names a model too.

    TargetVariant is a version or a label. Bodies are those of `sagemaker`. AWS's signatures are not checked; a key of
    this server's own goes into the header `X-API-Key`.
    """

    name: ClassVar[str] = "sagemaker_runtime"
    title: ClassVar[str] = "Amazon SageMaker runtime API"
    explaining: ClassVar[bool] = True
    own_statuses: ClassVar[bool] = True

    def __init__(self, models: Models) -> None:
        self._models = models
        self._container = SageMaker(models)

    @property
    def routes(self) -> Sequence[Route]:
        path = "/endpoints/{endpoint}/invocations"
        bodies = table_schemas.sagemaker()
        return (Route("POST", path, "Invoke an endpoint.", bodies=bodies, shown=False),)

    def decode(self, call: Call) -> Batch:
        call.subject = self._subject(call)
        return self._container.decode(Call(_untargeted(call.request), call.verb, call.params, call.subject))

    def _subject(self, call: Call) -> Subject:
        headers, names = call.request.headers, self._models.names()
        name = target_name(headers[TARGET]) if TARGET in headers else call.params["endpoint"]
        if TARGET not in headers and name not in names and len(names) == 1:
            name = names[0]
        variant = headers.get(_VARIANT)
        if variant is None:
            return self._models.get(name)
        try:
            return self._models.get(name, version=variant)
        except RequestError:
            return self._models.get(name, label=variant)

    def encode(self, call: Call, batch: Batch, predictions: Predictions) -> Response:
        answer = self._container.encode(call, batch, predictions)
        variant = ("x-Amzn-Invoked-Production-Variant", call.subject.version)
        answer.headers = (*answer.headers, ("x-amzn-RequestId", str(uuid4())), variant)
        return answer

    def error(self, error: RequestError) -> Response:
        status, kind = _ERRORS.get(error.status, (_MODEL_ERROR, "ModelError"))
        headers = (*error.headers, ("x-amzn-ErrorType", kind), ("x-amzn-RequestId", str(uuid4())))
        if kind != "ModelError":
            return Response(status, to_json({"Message": error.line}), headers=headers)
        original = self._container.error(error).body.decode("utf-8")
        side = "server" if error.status >= 500 else "client"
        told = f'Received {side} error ({error.status}) from primary with message "{original}".'
        body = {
            "ErrorCode": f"{side.upper()}_ERROR_FROM_MODEL",
            "Message": told,
            "OriginalStatusCode": error.status,
            "OriginalMessage": original,
            "LogStreamArn": "",
        }
        return Response(status, to_json(body), headers=headers)

    def example(
        self, subject: Subject, rows: Sequence[Mapping[str, Any]], *, explain: bool = False
    ) -> Request:
        request = self._container.example(subject, rows, explain=explain)
        request.path = f"/endpoints/{subject.name}/invocations"
        return request


def _untargeted(request: Request) -> Request:
    """The request as the container would get it, whose model is chosen."""
    if TARGET not in request.headers:
        return request
    headers = {name: value for name, value in request.headers.items() if name != TARGET}
    return Request(request.method, request.path, request.query, headers, request.body)
