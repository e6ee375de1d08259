"""The plain route: rows of JSON in, rows of JSON out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from bessemer.core.errors import did_you_mean
from bessemer.serve import schemas
from bessemer.serve.columns import rows_to_feeds
from bessemer.serve.dialect import Route, Subject, extra_ignored, flag
from bessemer.serve.errors import RequestError, shown
from bessemer.serve.rows import to_rows
from bessemer.serve.wire import JSON, Batch, Predictions, Request, Response, json_response, read_json, to_json

_KEYS = ("rows", "explain")


class Plain:
    """`POST /predict` takes `{"rows": [...]}`, one row, or a list of rows; a row is an object."""

    name: ClassVar[str] = "plain"
    title: ClassVar[str] = "Plain JSON"

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._inputs = {field.name for field in subject.signature.inputs}
        self._model = {"name": subject.name, "version": subject.version}

    @property
    def routes(self) -> Sequence[Route]:
        return (
            Route("POST", "/predict", "Predict one row or many.", bodies=schemas.plain(self._subject)),
            Route("GET", "/healthz", "Whether the server takes requests.", answer=self._health),
        )

    def decode(self, request: Request) -> Batch:
        subject = self._subject
        rows, explain = self._rows(read_json(request))
        subject.check_rows(len(rows))
        feeds = rows_to_feeds(rows, subject.signature.inputs, ignore_extra=extra_ignored(request))
        return Batch(len(rows), feeds, subject.explains(explain or flag(request, "explain")))

    def _rows(self, body: Any) -> tuple[list[Any], bool]:
        """The rows of a body in any of its three shapes, and whether it asks for explanations."""
        if isinstance(body, list):
            return body, False
        if not isinstance(body, dict):
            raise RequestError(400, "the body is neither an object nor a list", fix='send {"rows": [{...}]}')
        if not isinstance(body.get("rows"), list):
            return self._one_row(body)
        for key in body:
            if key not in _KEYS:
                fix = did_you_mean(key, _KEYS)
                raise RequestError(400, f"'{key}' does not belong beside 'rows'", fix=fix)
        return body["rows"], self._explain(body)

    def _one_row(self, body: dict[str, Any]) -> tuple[list[Any], bool]:
        """A row on its own; `explain` may stand in it where the model has no input of that name."""
        explain = self._explain(body) if "explain" not in self._inputs else False
        keep = {key: value for key, value in body.items() if key != "explain" or key in self._inputs}
        if "rows" in body and "rows" not in self._inputs:
            raise RequestError(400, "'rows' is not a list", fix='send {"rows": [{...}, {...}]}')
        return [keep], explain

    def _explain(self, body: Mapping[str, Any]) -> bool:
        explain = body.get("explain", False)
        if not isinstance(explain, bool):
            raise RequestError(
                400, f"'explain' is {shown(explain)}, neither true nor false", fix="send true or false"
            )
        return explain

    def encode(self, batch: Batch, predictions: Predictions) -> Response:
        rows = to_rows(self._subject.signature, predictions)
        return json_response({"model": self._model, "predictions": rows})

    def error(self, error: RequestError) -> Response:
        facts: dict[str, Any] = {"message": error.what, "why": error.why, "fix": error.fix}
        facts = {name: text for name, text in facts.items() if text}
        if error.faults:
            facts["faults"] = [fault.to_json() for fault in error.faults]
        if error.more:
            facts["more"] = True
        return Response(error.status, to_json({"error": facts}), headers=error.headers)

    def example(self, rows: Sequence[dict[str, Any]], *, explain: bool = False) -> Request:
        body = {"rows": list(rows), **({"explain": True} if explain else {})}
        return Request("POST", "/predict", headers={"content-type": JSON}, body=to_json(body))

    def _health(self, request: Request) -> Response:
        ready = self._subject.ready
        return json_response({"status": "ok" if ready else "stopping"}, 200 if ready else 503)
