"""JSON Schemas of what the routes take and give, from the model's signature (for OpenAPI 3.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bessemer.core.signature import Field, Signature
from bessemer.package.outliers import OUTLIER, has_outliers
from bessemer.serve.dialect import Bodies, Subject
from bessemer.serve.row_writer import class_key

_TYPES: Mapping[str, dict[str, Any]] = {
    "boolean": {"anyOf": [{"type": ["boolean", "null"]}, {"enum": [0, 1]}]},
    "integer": {"type": ["integer", "null"]},
    "number": {"type": ["number", "null"]},
    "string": {"type": ["string", "null"]},
    "timestamp": {
        "anyOf": [
            {"type": "string", "format": "date-time"},
            {"type": "string", "format": "date"},
            {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1},
            {"enum": ["", None]},
        ]
    },
}
_ROW = {"$ref": "#/components/schemas/Row"}
_VALUES = {"$ref": "#/components/schemas/Values"}
_PREDICTION = {"$ref": "#/components/schemas/Prediction"}
_EXPLANATION = {"$ref": "#/components/schemas/Explanation"}
#: A number of an answer: null where it is not finite.
_FINITE = {"type": ["number", "null"]}
_SHARE = {**_FINITE, "minimum": 0, "maximum": 1}
_MOST_CATEGORIES = 12


def components(subject: Subject) -> dict[str, Any]:
    """The schemas that the routes' bodies refer to."""
    signature = subject.signature
    bare = _FINITE if signature.task == "regression" and not signature.further else _PREDICTION
    rows = {"Row": row(signature), "Values": values(signature)}
    made = {
        "Prediction": prediction(subject),
        "Bare": bare,
        "Tensor": tensor(),
        "Outliers": outliers(subject),
    }
    return {**rows, **made, "Explanation": explanation(subject.groups)}


def row(signature: Signature) -> dict[str, Any]:
    """One row: a property for each input; the inputs that were never missing are required."""
    return {
        "type": "object",
        "description": "One row. null is a missing value.",
        "properties": {field.name: _property(field) for field in signature.inputs},
        "required": [field.name for field in signature.inputs if not field.nullable],
        "additionalProperties": False,
    }


def values(signature: Signature) -> dict[str, Any]:
    """One row as a list, in the order of the signature."""
    count = len(signature.inputs)
    return {
        "type": "array",
        "description": f"One row: {', '.join(field.name for field in signature.inputs)}.",
        "prefixItems": [_property(field) for field in signature.inputs],
        "minItems": count,
        "maxItems": count,
    }


def _property(field: Field) -> dict[str, Any]:
    facts = dict(_TYPES[field.dtype])
    domain = field.domain
    if "min" in domain and "max" in domain:
        facts["description"] = f"In training from {domain['min']} to {domain['max']}."
    elif domain.get("categories"):
        categories = domain["categories"]
        shown = ", ".join(map(str, categories[:_MOST_CATEGORIES]))
        more = f" and {len(categories) - _MOST_CATEGORIES} more" if len(categories) > _MOST_CATEGORIES else ""
        facts["description"] = f"In training: {shown}{more}."
    elif field.is_image:
        facts["description"] = "The base64 of a PNG or JPEG file."
    return facts


def prediction(subject: Subject) -> dict[str, Any]:
    """One row's answer."""
    signature = subject.signature
    properties = _target("prediction", "probability", signature.classes)
    for one in signature.further:
        properties |= _target(one.prediction, one.probability, one.classes)
    required = list(properties)
    if has_outliers(signature):
        properties[OUTLIER] = _SHARE
    if subject.groups:
        properties["explanation"] = _EXPLANATION
    return {"type": "object", "properties": properties, "required": required}


def _target(prediction: str, probability: str, classes: tuple[Any, ...]) -> dict[str, Any]:
    """What is said of one target."""
    if not classes:
        return {prediction: _FINITE}
    keys = [class_key(value) for value in classes]
    shares = {"type": "object", "properties": dict.fromkeys(keys, _SHARE), "required": keys}
    return {prediction: {"enum": list(classes)}, probability: shares}


def outliers(subject: Subject) -> dict[str, Any]:
    """Whether to say how unusual each row is: a model that was trained without can only be asked not to."""
    if has_outliers(subject.signature):
        return {"type": "boolean", "default": False}
    return {"const": False, "description": "This model was trained without `outliers`."}


def explanation(groups: tuple[str, ...]) -> dict[str, Any]:
    """The contributions of one row; base and contributions sum to the score."""
    number = _FINITE
    return {
        "type": "object",
        "description": "base + the sum of the contributions = score (log-odds, or the predicted value).",
        "properties": {
            "base": number,
            "score": number,
            "contributions": {"type": "object", "properties": dict.fromkeys(groups, number)},
        },
        "required": ["base", "score", "contributions"],
    }


def tensor() -> dict[str, Any]:
    """A tensor of the Open Inference Protocol."""
    return {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "shape": {"type": "array", "items": {"type": "integer"}},
            "datatype": {"type": "string"},
            "parameters": {"type": "object"},
            "data": {"type": "array", "items": {}},
        },
        "required": ["name", "shape", "datatype"],
    }


def _list(items: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _object(required: tuple[str, ...], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


def plain() -> Bodies:
    """Of `POST /predict`."""
    asked = {"type": "boolean", "default": False}
    rows = _object(("rows",), rows=_list({"oneOf": [_ROW, _VALUES]}), explain=asked)
    rows["properties"]["outliers"] = {"$ref": "#/components/schemas/Outliers"}
    rows["additionalProperties"] = False
    model = _object(("name", "version"), name={"type": "string"}, version={"type": "string"})
    response = _object(("model", "predictions"), model=model, predictions=_list(_PREDICTION))
    return Bodies({"oneOf": [rows, _ROW, _list(_ROW)]}, response)


def kserve_v1() -> tuple[Bodies, Bodies]:
    """Of `:predict`, and of `:explain`."""
    request = _object(("instances",), instances=_list({"oneOf": [_ROW, _VALUES]}))
    one = {"$ref": "#/components/schemas/Bare"}
    told = _list(_EXPLANATION)
    plain = _object(("predictions",), predictions=_list(one))
    explained = _object(("predictions", "explanations"), predictions=_list(one), explanations=told)
    return Bodies(request, plain), Bodies(request, explained)


def v2_index() -> Bodies:
    """Of `/v2/repository/index`."""
    text = {"type": "string"}
    entry = _object(("name",), name=text, version=text, state=text, reason=text)
    return Bodies(_object((), ready={"type": "boolean"}), _list(entry))


def v2() -> Bodies:
    """Of `/v2/models/{model}/infer`."""
    tensors = _list({"$ref": "#/components/schemas/Tensor"})
    text = {"type": "string"}
    request = _object(("inputs",), id=text, parameters={"type": "object"}, inputs=tensors)
    request["properties"]["outputs"] = _list(_object(("name",), name=text, parameters={"type": "object"}))
    response = _object(
        ("model_name", "outputs"), model_name=text, model_version=text, id=text, outputs=tensors
    )
    return Bodies(request, response)


def tensorflow() -> tuple[Bodies, Bodies, Bodies]:
    """Of `:predict`, `:classify` and `:regress` of TensorFlow Serving."""
    text, anything = {"type": "string"}, _list({})
    rows = _object(("instances",), signature_name=text, instances=_list({}))
    columns = _object(("inputs",), signature_name=text, inputs={"oneOf": [anything, {"type": "object"}]})
    told = {"anyOf": [_object(("predictions",), predictions=anything), _object(("outputs",), outputs={})]}
    examples = _object(("examples",), signature_name=text, context={"type": "object"}, examples=_list(_ROW))
    classes = _object(("results",), results=_list(_list(anything)))
    numbers = _object(("results",), results=_list({"type": "number"}))
    return Bodies({"oneOf": [rows, columns]}, told), Bodies(examples, classes), Bodies(examples, numbers)
