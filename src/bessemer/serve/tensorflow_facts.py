"""What TensorFlow Serving tells of a model: its signatures, and the states of its versions, as JSON values of protobuf.

64-bit numbers are text there; `google.protobuf.json_format` reads the same values into messages.
"""

from __future__ import annotations

from typing import Any

from bessemer.core.signature import Field, Signature
from bessemer.serve.dialect import Models, Subject, version_number
from bessemer.serve.errors import RequestError

PREDICT = "serving_default"
CLASSIFY, REGRESS = "classify", "regress"
METHODS = {kind: f"tensorflow/serving/{kind}" for kind in ("predict", CLASSIFY, REGRESS)}
_DTYPES = {
    "float32": "DT_FLOAT",
    "float64": "DT_DOUBLE",
    "int64": "DT_INT64",
    "string": "DT_STRING",
    "bool": "DT_BOOL",
}
_STATES = {"READY": "AVAILABLE", "LOADING": "LOADING", "UNLOADING": "UNLOADING", "UNAVAILABLE": "END"}


def served_outputs(signature: Signature) -> tuple[str, ...]:
    """The outputs of the signature `serving_default`; of a regression alone its one number, which so stands bare in
    JSON.

    >>> from bessemer.testing.models import tiny_signature
    >>> served_outputs(tiny_signature("binary")), served_outputs(tiny_signature("regression"))
    (('prediction', 'probability', 'score'), ('prediction',))
    """
    if signature.task == "regression" and not signature.further:
        return ("prediction",)
    return tuple(field.name for field in signature.outputs)


def check_signature(subject: Subject, name: str, method: str) -> str:
    """The signature that a request means: the named one, or the default.

    Args:
        method: `predict`, `classify` or `regress`.

    Raises:
        RequestError: 412 when there is none of that name; 400 when it does not answer the method.
    """
    right = CLASSIFY if subject.signature.classes else REGRESS
    known = (PREDICT, right)
    if name and name not in known:
        fix = "the signatures are " + " and ".join(known)
        raise RequestError(412, f'Serving signature key "{name}" not found.', fix=fix)
    if method != "predict" and method != right:
        what = f"Expected {method} signature method_name to be {METHODS[method]}. Was: {METHODS[right]}"
        raise RequestError(400, what, fix=f"this model takes :{right} and :predict")
    if method == "predict" and name == right:
        raise RequestError(400, f"the signature '{name}' takes examples: :{right}", fix="leave out its name")
    return name or (PREDICT if method == "predict" else right)


def signature_defs(signature: Signature) -> dict[str, Any]:
    """The signatures of a model: a tf.SignatureDef for each name."""
    served = served_outputs(signature)
    inputs = {field.name: _info(field, ("-1", "1")) for field in signature.inputs}
    outputs = {
        field.name: _info(field, ("-1", *map(str, field.shape)))
        for field in signature.outputs
        if field.name in served
    }
    examples = {"inputs": _tensor("input_example_tensor", "DT_STRING", ("-1",))}
    if signature.classes:
        shape = ("-1", str(len(signature.classes)))
        told = {
            "classes": _tensor("classes", "DT_STRING", shape),
            "scores": _tensor("scores", "DT_FLOAT", shape),
        }
        other = CLASSIFY
    else:
        told, other = {"outputs": _tensor("outputs", "DT_FLOAT", ("-1", "1"))}, REGRESS
    return {
        PREDICT: {"inputs": inputs, "outputs": outputs, "method_name": METHODS["predict"]},
        other: {"inputs": examples, "outputs": told, "method_name": METHODS[other]},
    }


def _info(field: Field, shape: tuple[str, ...]) -> dict[str, Any]:
    return _tensor(field.name, _DTYPES[field.tensor], shape)


def _tensor(name: str, dtype: str, shape: tuple[str, ...]) -> dict[str, Any]:
    dims = [{"size": size, "name": ""} for size in shape]
    return {"dtype": dtype, "tensor_shape": {"dim": dims, "unknown_rank": False}, "name": f"{name}:0"}


def model_spec(subject: Subject, signature: str = "") -> dict[str, Any]:
    """A version of a model, as answers name it."""
    return {"name": subject.name, "signature_name": signature, "version": str(subject.number)}


def version_statuses(models: Models, name: str, version: str | None = None) -> list[dict[str, Any]]:
    """The state of each version of a model that the server knows of, or of one.

    Args:
        version: its text, or its number.

    Raises:
        RequestError: 404 when there is none.
    """
    known = [entry for entry in models.index() if entry.name == name]
    found = [each for each in known if version in (None, each.version, str(version_number(each.version)))]
    if not found:
        what = (
            f"Could not find any versions of model {name}"
            if version is None
            else (f"Could not find version {version} of model {name}")
        )
        raise RequestError(404, what)
    return [
        {
            "version": str(version_number(entry.version)),
            "state": _STATES[entry.state],
            "status": {"error_code": "OK", "error_message": entry.reason},
        }
        for entry in found
    ]
