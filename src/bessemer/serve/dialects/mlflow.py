"""MLflow's scoring server: `/invocations` takes tables as pandas and TensorFlow Serving write them.

https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally/ and mlflow/pyfunc/scoring_server of MLflow 3.17.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from bessemer.serve import table_schemas
from bessemer.serve.csv_rows import read_csv
from bessemer.serve.dialect import Call, Models, Route, Subject, extra_ignored, flag
from bessemer.serve.errors import RequestError, shown
from bessemer.serve.frames import read_columns, read_rows, read_split, read_split_quickly
from bessemer.serve.health import health
from bessemer.serve.loose_json import parse_loosely
from bessemer.serve.media import CSV, PARQUET, media_type
from bessemer.serve.parquet import read_parquet
from bessemer.serve.record_writer import writer_of
from bessemer.serve.wire import JSON, Batch, Predictions, Request, Response, to_json

#: The MLflow whose protocol this is, which is what `/version` says.
VERSION = "3.17.2"
_FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
_LLM = ("messages", "prompt", "input")
#: What tells its requests from SageMaker's, at the same path. `instances` is answered alike by both.
_MARKS = (b'"dataframe_split"', b'"dataframe_records"', b'"inputs"', b'"params"')
_LOOKED_AT = 1024

#: error_code, sqlstate and error_class by status, as MlflowException gives them.
_CODES: Mapping[int, tuple[str, str, str]] = {
    400: ("BAD_REQUEST", "KAM00", "INVALID_PARAMETER_VALUE"),
    401: ("UNAUTHENTICATED", "", ""),
    403: ("PERMISSION_DENIED", "KAM00", "PERMISSION_DENIED"),
    404: ("ENDPOINT_NOT_FOUND", "KAM00", "RESOURCE_NOT_FOUND"),
    409: ("RESOURCE_CONFLICT", "", ""),
    413: ("BAD_REQUEST", "KAM00", "INVALID_PARAMETER_VALUE"),
    429: ("RESOURCE_EXHAUSTED", "", ""),
    500: ("INTERNAL_ERROR", "XXM00", "CLIENT_INTERNAL_ERROR"),
    501: ("NOT_IMPLEMENTED", "", ""),
    503: ("TEMPORARILY_UNAVAILABLE", "XXM00", "CLIENT_INTERNAL_ERROR"),
    504: ("DEADLINE_EXCEEDED", "", ""),
}
_SCHEMA = ("INVALID_PARAMETER_VALUE", "KAM01", "SCHEMA_ENFORCEMENT_FAILED")


class MLflow:
    """The model is a pyfunc that gives a DataFrame: each prediction a record with the columns of `Model.predict`.

    `"params": {"explain": true}` adds `score`, `base` and `contribution_GROUP`; other params are ignored, as MLflow
    ignores what a model's signature does not name.
    """

    name: ClassVar[str] = "mlflow"
    title: ClassVar[str] = "MLflow scoring server"
    explaining: ClassVar[bool] = True

    def __init__(self, models: Models) -> None:
        self._models = models

    @property
    def routes(self) -> Sequence[Route]:
        return (
            Route(
                "POST", "/invocations", "Predict a table.", bodies=table_schemas.mlflow(), accepts=_is_ours
            ),
            Route("GET", "/ping", "Whether the server takes requests.", answer=self._ping, union=True),
            Route("GET", "/health", "Whether the server takes requests.", answer=self._ping, union=True),
            Route("GET", "/version", "The version of MLflow's protocol.", answer=self._version, shown=False),
        )

    # a request -------------------------------------------------------------------------------------
    def decode(self, call: Call) -> Batch:
        request, subject = call.request, call.subject
        ignore, asked = extra_ignored(request), flag(request, "explain")
        kind = _kind(request)
        if kind == CSV:
            batch = read_csv(subject, request.body, ignore_extra=ignore)
        elif kind == PARQUET:
            batch = read_parquet(subject, request.body, ignore_extra=ignore)
        else:
            batch, told = _read_json(subject, request.body, ignore)
            asked = asked or told
        batch.explain = subject.explains(asked)
        return batch

    # an answer -------------------------------------------------------------------------------------
    def encode(self, call: Call, batch: Batch, predictions: Predictions) -> Response:
        rows = writer_of(call.subject).objects(predictions)
        return Response(200, b'{"predictions":[%b]}' % b",".join(rows))

    def error(self, error: RequestError) -> Response:
        if error.status == 415:  # the scoring server says this one in plain text
            return Response(415, error.line.encode("utf-8"), "text/plain", error.headers)
        default = _CODES[500] if error.status >= 500 else _CODES[400]
        code, state, kind = _CODES.get(error.status, default)
        if any(fault.row is None for fault in error.faults):  # a column is not what the signature says
            code, state, kind = _SCHEMA
        body = {"error_code": code, "message": error.line}
        if state:
            body |= {"sqlstate": state, "error_class": kind}
        return Response(error.status, to_json(body), headers=error.headers)

    def example(
        self, subject: Subject, rows: Sequence[Mapping[str, Any]], *, explain: bool = False
    ) -> Request:
        names = [field.name for field in subject.signature.inputs]
        frame = {"columns": names, "data": [[row.get(name) for name in names] for row in rows]}
        body: dict[str, Any] = {"dataframe_split": frame}
        if explain:
            body["params"] = {"explain": True}
        return Request("POST", "/invocations", headers={"content-type": JSON}, body=to_json(body))

    # routes that do not predict --------------------------------------------------------------------
    def _ping(self, call: Call) -> Response:
        return health(self._models)

    def _version(self, call: Call) -> Response:
        return Response(200, VERSION.encode("ascii"))


def _is_ours(request: Request) -> bool:
    kind, _ = media_type(request)
    if kind not in ("", JSON):
        return kind == PARQUET
    head, tail = request.body[:_LOOKED_AT], request.body[_LOOKED_AT:][-_LOOKED_AT:]
    return any(mark in head or mark in tail for mark in _MARKS)


def _kind(request: Request) -> str:
    """The type of the body.

    Raises:
        RequestError: 415 for another one, another charset, or any other parameter.
    """
    if request.headers.get("content-type") == JSON:
        return JSON
    kind, parameters = media_type(request)
    if parameters.get("charset", "utf-8").lower() != "utf-8":
        raise RequestError(415, "The scoring server only supports UTF-8")
    unknown = ", ".join(sorted(parameters.keys() - {"charset"}))
    if unknown:
        why = "they were used by MLflow before version 2"
        raise RequestError(415, f"Unrecognized content type parameters: {unknown}", why=why)
    if kind not in ("", JSON, CSV, PARQUET):
        raise RequestError(
            415,
            f"This predictor only supports the following content types: Types: {[CSV, JSON, PARQUET]}. Got '{kind}'.",
        )
    return kind


def _read_json(subject: Subject, body: bytes, ignore: bool) -> tuple[Batch, bool]:
    """The rows of a JSON body in any of its forms, and whether its params ask for explanations."""
    quick = _read_quickly(subject, body)
    if quick is not None:
        return quick, False
    content = parse_loosely(body)
    forms = [form for form in _FORMS if isinstance(content, dict) and form in content]
    if len(forms) != 1:
        raise _not_one_form(content)
    (form,) = forms
    value = content[form]
    if form == "dataframe_split":
        batch = read_split(subject, value, ignore_extra=ignore)
    elif form == "inputs" and isinstance(value, dict):
        batch = read_columns(subject, value, ignore_extra=ignore)
    else:
        batch = read_rows(subject, value, form, ignore_extra=ignore)
    return batch, _explain(content.get("params"))


def _read_quickly(subject: Subject, body: bytes) -> Batch | None:
    head = body[:64]
    if _MARKS[0] in head:
        return read_split_quickly(subject, body)
    for form in _FORMS[1:]:
        if b'"%b"' % form.encode("ascii") in head:
            values = subject.rows.decode(body, form)
            return None if values is None else Batch(len(values), values, typed=True)
    return None


def _not_one_form(content: Any) -> RequestError:
    what = f"the input must be a JSON object with exactly one of the fields {', '.join(_FORMS)}"
    if not isinstance(content, dict):
        return RequestError(400, what, why=f"it is {shown(content)}")
    if any(key in content for key in _LLM):
        return RequestError(400, what, why="this model predicts tables and does not chat")
    return RequestError(400, what, why=f"its fields are {shown(list(content))}")


def _explain(params: Any) -> bool:
    if params is None:
        return False
    if not isinstance(params, dict):
        raise RequestError(400, f"'params' is {shown(params)}, not an object")
    explain = params.get("explain", False)
    if not isinstance(explain, bool):
        raise RequestError(400, f"'explain' is {shown(explain)}", fix="send true or false")
    return explain
