"""The plain route: rows of JSON in, rows of JSON out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from bessemer.core.errors import did_you_mean
from bessemer.package.outliers import OUTLIER
from bessemer.serve import schemas
from bessemer.serve.dialect import (
    Call,
    Models,
    Route,
    Subject,
    asked_in_query,
    extra_ignored,
    outliers_in_query,
)
from bessemer.serve.errors import RequestError, shown
from bessemer.serve.wire import (
    JSON,
    Batch,
    Predictions,
    Request,
    Response,
    check_json,
    json_response,
    parse_json,
    to_json,
)

#: What may stand beside the rows, and ask for more than the prediction.
_ASKS = ("explain", "outliers")
_KEYS = ("rows", *_ASKS)


class Plain:
    """`POST /predict` takes `{"rows": [...]}`, one row, or a list of rows; a row is an object.

    `?explain` and `?outliers`, or `"explain": true` and `"outliers": true` beside the rows, ask for more.

    It speaks for the default model; `/predict/{model}` and `/predict/{model}/{version}` for any.
    """

    name: ClassVar[str] = "plain"
    title: ClassVar[str] = "Plain JSON"
    explaining: ClassVar[bool] = True

    def __init__(self, models: Models) -> None:
        self._models = models

    @property
    def routes(self) -> Sequence[Route]:
        asks: Any = {"bodies": schemas.plain(), "outliers": True}
        return (
            Route("POST", "/predict", "Predict one row or many.", **asks),
            Route("POST", "/predict/{model}", "Predict with one of the models.", **asks),
            Route("POST", "/predict/{model}/{version}", "Predict with one version of a model.", **asks),
            Route("GET", "/healthz", "Whether the server takes requests.", answer=self._health),
        )

    def decode(self, call: Call) -> Batch:
        request, subject = call.request, call.subject
        check_json(request)
        values = subject.rows.decode(request.body, "rows")
        if values is not None:
            explain = subject.explains(asked_in_query(request))
            outputs = subject.outputs(outliers_in_query(request))
            return Batch(len(values), values, explain=explain, outputs=outputs, typed=True)
        rows, asked = self._rows(subject, parse_json(request.body))
        values = subject.rows.read(rows, ignore_extra=extra_ignored(request))
        explain = subject.explains(asked_in_query(request) or asked.get("explain", False))
        outputs = subject.outputs(outliers_in_query(request) or asked.get("outliers", False))
        return Batch(len(values), values, explain=explain, outputs=outputs)

    def _rows(self, subject: Subject, body: Any) -> tuple[list[Any], dict[str, bool]]:
        """The rows of a body in any of its three shapes, and what else it asks for."""
        if isinstance(body, list):
            return body, {}
        if not isinstance(body, dict):
            raise RequestError(400, "the body is neither an object nor a list", fix='send {"rows": [{...}]}')
        if not isinstance(body.get("rows"), list):
            return self._one_row({field.name for field in subject.signature.inputs}, body)
        for key in body:
            if key not in _KEYS:
                fix = did_you_mean(key, _KEYS)
                raise RequestError(400, f"'{key}' does not belong beside 'rows'", fix=fix)
        return body["rows"], _asked(body, _ASKS)

    def _one_row(self, inputs: set[str], body: dict[str, Any]) -> tuple[list[Any], dict[str, bool]]:
        """A row on its own; `explain` and `outliers` may stand in it where the model has no input of that name."""
        asks = [name for name in _ASKS if name not in inputs]
        keep = {key: value for key, value in body.items() if key not in asks}
        if "rows" in body and "rows" not in inputs:
            raise RequestError(400, "'rows' is not a list", fix='send {"rows": [{...}, {...}]}')
        return [keep], _asked(body, asks)

    def encode(self, call: Call, batch: Batch, predictions: Predictions) -> Response:
        subject = call.subject
        rows = b",".join(subject.writer.rows(predictions, outliers=OUTLIER in batch.outputs))
        return Response(200, b'{"model":%b,"predictions":[%b]}' % (subject.reference, rows))

    def error(self, error: RequestError) -> Response:
        facts: dict[str, Any] = {"message": error.what, "why": error.why, "fix": error.fix}
        facts = {name: text for name, text in facts.items() if text}
        if error.faults:
            facts["faults"] = [fault.to_json() for fault in error.faults]
        if error.more:
            facts["more"] = True
        return Response(error.status, to_json({"error": facts}), headers=error.headers)

    def example(
        self, subject: Subject, rows: Sequence[Mapping[str, Any]], *, explain: bool = False
    ) -> Request:
        body = {"rows": list(rows), **({"explain": True} if explain else {})}
        return Request("POST", "/predict", headers={"content-type": JSON}, body=to_json(body))

    def _health(self, call: Call) -> Response:
        ready = self._models.ready
        return json_response({"status": "ok" if ready else "stopping"}, 200 if ready else 503)


def _asked(body: Mapping[str, Any], names: Sequence[str]) -> dict[str, bool]:
    """What a body asks for, of some names.

    Raises:
        RequestError: 400 where one is neither true nor false.
    """
    for name in names:
        if not isinstance(body.get(name, False), bool):
            what = f"'{name}' is {shown(body[name])}, neither true nor false"
            raise RequestError(400, what, fix="send true or false")
    return {name: body[name] for name in names if name in body}
