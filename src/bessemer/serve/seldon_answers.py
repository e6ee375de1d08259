"""What Seldon's answers carry: the payload, of the kind that the request had; and what a model says of itself."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from typing import Any

import numpy as np

from bessemer.core.further import outputs_of
from bessemer.serve.columns import takes_matrix
from bessemer.serve.dialect import Models, Subject
from bessemer.serve.row_writer import class_key
from bessemer.serve.seldon_messages import OTHERS, Asked
from bessemer.serve.wire import Array, Predictions, to_json


def class_names(subject: Subject) -> list[str]:
    """The names of the answer's columns: the classes; of a number none."""
    return [class_key(value) for value in subject.signature.classes]


def output_of(subject: Subject) -> str:
    """The output that an array answers with: the probabilities of the classes, or the number."""
    return "probability" if subject.signature.classes else "prediction"


def further_tags(predictions: Predictions, subject: Subject, asked: Asked) -> dict[str, Any]:
    """What an array has no room for, and so stands in the answer's tags: the outputs of further targets by name."""
    if asked.payload.kind in OTHERS:  # their rows have it
        return {}
    arrays = {name: predictions.outputs[name] for name in outputs_of(subject.signature.further)}
    return {
        name: array.tolist() if array.dtype.kind in "OUS" else np.ascontiguousarray(array)
        for name, array in arrays.items()
    }


def write_rows(subject: Subject, predictions: Predictions, asked: Asked) -> bytes:
    """The answer to rows of JSON: a list; of a row that stood alone, without the list."""
    rows = subject.writer.bare(predictions)
    return rows[0] if asked.alone else b"[%b]" % b",".join(rows)


def write_content(subject: Subject, predictions: Predictions, asked: Asked) -> bytes:
    """The payload of an answer, of the kind that the request had."""
    kind = asked.payload.kind
    if kind in OTHERS:
        text = write_rows(subject, predictions, asked)
        if kind == "jsonData":
            return b'"jsonData":%b' % text
        if kind == "strData":
            return b'"strData":%b' % to_json(text.decode("utf-8"))
        return b'"binData":"%b"' % b64encode(text)
    names = class_names(subject)
    output = output_of(subject)
    array, texts = predictions.outputs[output], predictions.texts(output)
    shape = [len(array), len(names)] if names else [len(array)]
    if kind == "tensor":
        inner = b'"tensor":{"shape":%b,"values":[%b]}' % (to_json(shape), b",".join(texts))
    elif kind == "tftensor":
        inner = b'"tftensor":%b' % to_json(_tftensor(array, shape))
    else:
        rows = [b"[%b]" % text for text in texts] if names else texts
        inner = b'"ndarray":[%b]' % b",".join(rows)
    return b'"data":{"names":%b,%b}' % (to_json(names), inner)


def _tftensor(array: Array, shape: Sequence[int]) -> dict[str, Any]:
    """A TensorProto in its JSON."""
    sizes = {"dim": [{"size": str(size)} for size in shape]}
    content = b64encode(array.astype("<f4", copy=False).tobytes()).decode("ascii")
    return {"dtype": "DT_FLOAT", "tensorShape": sizes, "tensorContent": content}


def metadata(models: Models, subject: Subject) -> dict[str, Any]:
    """The metadata of a model: one array in, one array out."""
    signature = subject.signature
    kind = "tensor" if takes_matrix(signature.inputs) else "ndarray"
    names = [field.name for field in signature.inputs]
    classes = class_names(subject)
    given = {"names": classes, "shape": [len(classes)]} if classes else {"shape": []}
    return {
        "name": subject.name,
        "versions": [each.version for each in models.versions(subject.name)],
        "platform": "bessemer",
        "inputs": [{"messagetype": kind, "schema": {"names": names, "shape": [len(names)]}}],
        "outputs": [{"messagetype": "ndarray", "schema": given}],
        "custom": {},
    }
