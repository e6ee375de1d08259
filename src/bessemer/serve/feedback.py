"""The route of labels: what turned out to be true, by the id of the prediction."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, ClassVar

from bessemer.core.errors import did_you_mean
from bessemer.serve.dialect import Bodies, Call, Label, Models, Route
from bessemer.serve.errors import RequestError, RowFault, bad_rows, shown
from bessemer.serve.wire import Response, json_response, read_json

#: So far clocks may differ, in seconds.
_SKEW = 60.0
_KEYS = ("prediction_id", "label", "time")
_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "labels": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "prediction_id": {"type": "string"},
                    "label": {"type": ["string", "number", "integer", "boolean"]},
                    "time": {
                        "type": "number",
                        "description": "Since when it has been known, Unix seconds, not in the future; without it, "
                        "now. Of several labels of a prediction the latest counts.",
                    },
                },
                "required": ["prediction_id", "label"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["labels"],
    "additionalProperties": False,
}


class Feedback:
    """`POST /feedback` for the default model, `POST /feedback/{model}` for any.

    The id of a prediction is the `x-request-id` of its answer, and of its row number where the request had several:
    `ID-0`, `ID-1`.
    """

    title: ClassVar[str] = "Labels"

    def __init__(self, models: Models) -> None:
        self._models = models

    @property
    def routes(self) -> Sequence[Route]:
        bodies = Bodies(_SCHEMA, {"type": "object", "properties": {"accepted": {"type": "integer"}}})
        return (
            Route("POST", "/feedback", "Say what was true.", answer=self._take, bodies=bodies, slow=True),
            Route(
                *("POST", "/feedback/{model}", "Say what was true, of one of the models."),
                answer=self._take,
                bodies=bodies,
                slow=True,
            ),
        )

    def _take(self, call: Call) -> Response:
        body = read_json(call.request, strict=True)
        if not isinstance(body, dict) or not isinstance(body.get("labels"), list):
            fix = 'send {"labels": [{"prediction_id": "...", "label": ...}]}'
            raise RequestError(400, "the body has no list 'labels'", fix=fix)
        call.subject.check_rows(len(body["labels"]))
        faults: list[RowFault] = []
        labels = [_label(number, row, faults) for number, row in enumerate(body["labels"])]
        if faults:
            raise bad_rows(faults)
        self._models.feedback(call.subject.name, labels, call.client)
        return json_response({"accepted": len(labels)})


def _label(number: int, row: Any, faults: list[RowFault]) -> Label:
    if not isinstance(row, dict):
        faults.append(RowFault(number, "", f"{shown(row)} is not an object", shown(row)))
        return Label("", None)
    for key in row:
        if key not in _KEYS:
            fix = did_you_mean(key, _KEYS)
            faults.append(RowFault(number, key, "a label has no such key", shown(row[key]), fix))
    name, moment = row.get("prediction_id"), row.get("time", 0.0)
    if not isinstance(name, str) or not name:
        faults.append(RowFault(number, "prediction_id", f"{shown(name)} is not an id", shown(name)))
    if isinstance(moment, bool) or not isinstance(moment, int | float):
        faults.append(RowFault(number, "time", f"{shown(moment)} is not a time", shown(moment)))
        moment = 0.0
    elif not 0 <= moment <= time.time() + _SKEW:
        what = f"{shown(moment)} is {'in the future' if moment > 0 else 'before 1970'}"
        fix = "give Unix seconds up to now, or leave it out"
        faults.append(RowFault(number, "time", what, shown(moment), fix))
        moment = 0.0
    return Label(str(name), row.get("label"), float(moment))
