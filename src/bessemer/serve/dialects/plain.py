"""The plain route: rows of JSON in, rows of JSON out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from bessemer.core.errors import did_you_mean
from bessemer.serve import schemas
from bessemer.serve.dialect import Call, Models, Route, Subject, asked_in_query, extra_ignored
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

_KEYS = ("rows", "explain")


class Plain:
    """`POST /predict` takes `{"rows": [...]}`, one row, or a list of rows; a row is an object.

    It speaks for the default model; `/predict/{model}` and `/predict/{model}/{version}` for any.
    """

    name: ClassVar[str] = "plain"
    title: ClassVar[str] = "Plain JSON"
    explaining: ClassVar[bool] = True

    def __init__(self, models: Models) -> None:
        self._models = models

    @property
    def routes(self) -> Sequence[Route]:
        bodies = schemas.plain()
        return (
            Route("POST", "/predict", "Predict one row or many.", bodies=bodies),
            Route("POST", "/predict/{model}", "Predict with one of the models.", bodies=bodies),
            Route(
                "POST", "/predict/{model}/{version}", "Predict with one version of a model.", bodies=bodies
            ),
            Route("GET", "/healthz", "Whether the server takes requests.", answer=self._health),
        )

    def decode(self, call: Call) -> Batch:
        request, subject = call.request, call.subject
        check_json(request)
        values = subject.rows.decode(request.body, "rows")
        if values is not None:
            explain = subject.explains(asked_in_query(request))
            return Batch(len(values), values, explain=explain, typed=True)
        rows, explain = self._rows(subject, parse_json(request.body))
        values = subject.rows.read(rows, ignore_extra=extra_ignored(request))
        return Batch(len(values), values, explain=subject.explains(asked_in_query(request) or explain))

    def _rows(self, subject: Subject, body: Any) -> tuple[list[Any], bool]:
        """The rows of a body in any of its three shapes, and whether it asks for explanations."""
        if isinstance(body, list):
            return body, False
        if not isinstance(body, dict):
            raise RequestError(400, "the body is neither an object nor a list", fix='send {"rows": [{...}]}')
        if not isinstance(body.get("rows"), list):
            return self._one_row({field.name for field in subject.signature.inputs}, body)
        for key in body:
            if key not in _KEYS:
                fix = did_you_mean(key, _KEYS)
                raise RequestError(400, f"'{key}' does not belong beside 'rows'", fix=fix)
        return body["rows"], self._explain(body)

    def _one_row(self, inputs: set[str], body: dict[str, Any]) -> tuple[list[Any], bool]:
        """A row on its own; `explain` may stand in it where the model has no input of that name."""
        explain = self._explain(body) if "explain" not in inputs else False
        keep = {key: value for key, value in body.items() if key != "explain" or key in inputs}
        if "rows" in body and "rows" not in inputs:
            raise RequestError(400, "'rows' is not a list", fix='send {"rows": [{...}, {...}]}')
        return [keep], explain

    def _explain(self, body: Mapping[str, Any]) -> bool:
        explain = body.get("explain", False)
        if not isinstance(explain, bool):
            raise RequestError(
                400, f"'explain' is {shown(explain)}, neither true nor false", fix="send true or false"
            )
        return explain

    def encode(self, call: Call, batch: Batch, predictions: Predictions) -> Response:
        subject = call.subject
        rows = b",".join(subject.writer.rows(predictions))
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
