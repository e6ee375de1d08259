"""JSON Schemas of what TorchServe's, Clipper's and Seldon's routes take and give."""

from __future__ import annotations

from typing import Any

from bessemer.serve.dialect import Bodies

_ROW = {"$ref": "#/components/schemas/Row"}
_BARE = {"$ref": "#/components/schemas/Bare"}
_EXPLANATION = {"$ref": "#/components/schemas/Explanation"}
_LIST: dict[str, Any] = {"type": "array", "items": {}}
_ANY_ROW = {"oneOf": [_ROW, _LIST]}
_TEXT = {"type": "string"}


def _object(*required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


def torchserve() -> tuple[Bodies, Bodies]:
    """What `/predictions` and `/explanations` take and give: one row, or a list of rows."""
    asked = {"oneOf": [_ROW, {"type": "array", "items": _ANY_ROW}]}

    def bodies(each: dict[str, Any]) -> Bodies:
        return Bodies(asked, {"oneOf": [each, {"type": "array", "items": each}]})

    return bodies(_BARE), bodies(_EXPLANATION)


def clipper() -> Bodies:
    """What `/APP/predict` takes and gives: one input, or a batch of them."""
    one = _object("input", input={"oneOf": [_LIST, _ROW, _TEXT]}, version=_TEXT)
    many = _object("input_batch", input_batch={"type": "array", "items": _ANY_ROW}, version=_TEXT)
    output = _object(
        *("query_id", "output", "default"),
        query_id={"type": "integer"},
        output=_BARE,
        default={"type": "boolean"},
        default_explanation=_TEXT,
    )
    batch = _object("batch_predictions", batch_predictions={"type": "array", "items": output})
    return Bodies({"oneOf": [one, many]}, {"oneOf": [output, batch]})


def seldon() -> Bodies:
    """What `/api/v1.0/predictions` takes and gives: a SeldonMessage both ways."""
    names = {"type": "array", "items": _TEXT}
    tensor = _object("shape", "values", shape=_LIST, values=_LIST)
    data = _object(names=names, ndarray=_LIST, tensor=tensor, tftensor={"type": "object"})
    meta = _object(puid=_TEXT, tags={"type": "object"}, requestPath={"type": "object"})
    message = _object(meta=meta, data=data, jsonData={}, strData=_TEXT, binData=_TEXT)
    return Bodies(message, message)
