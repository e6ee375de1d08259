"""JSON Schemas of the bodies of MLflow, SageMaker and Vertex AI (for OpenAPI 3.1)."""

from __future__ import annotations

from typing import Any

from bessemer.serve.dialect import Bodies

_ROW = {"$ref": "#/components/schemas/Row"}
_BARE = {"$ref": "#/components/schemas/Bare"}
_ROWS = {"type": "array", "items": {"oneOf": [_ROW, {"type": "array", "items": {}}]}}


def _object(required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": [required]}


_RECORDS = _object(
    "predictions", predictions={"type": "array", "items": _object("prediction", prediction={})}
)


def mlflow() -> Bodies:
    """Of `POST /invocations`, as MLflow has it."""
    params = {"type": "object", "properties": {"explain": {"type": "boolean"}}}
    names = {"type": "array", "items": {"type": "string"}}
    split = _object("data", columns=names, data={"type": "array", "items": {"type": "array", "items": {}}})
    forms = {"dataframe_split": split, "dataframe_records": _ROWS, "instances": _ROWS, "inputs": {}}
    return Bodies(
        {"oneOf": [_object(form, **{form: schema, "params": params}) for form, schema in forms.items()]},
        _RECORDS,
    )


def sagemaker() -> Bodies:
    """Of `POST /invocations`, as SageMaker has it."""
    return Bodies({"oneOf": [_object("instances", instances=_ROWS), _ROWS, _ROW]}, _RECORDS)


def vertex() -> Bodies:
    """Of Vertex AI's predictions."""
    parameters = {"type": "object", "properties": {"explain": {"type": "boolean"}}}
    request = _object("instances", instances=_ROWS, parameters=parameters)
    return Bodies(request, _object("predictions", predictions={"type": "array", "items": _BARE}))
