"""RecordIO frames of SageMaker's protobuf records, to rows and back.

https://docs.aws.amazon.com/sagemaker/latest/dg/cdf-training.html (the message), and
https://mxnet.apache.org/versions/1.9.1/api/architecture/note_data_loading (the frames).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from bessemer.core.further import Further
from bessemer.serve.dialect import Subject
from bessemer.serve.errors import RequestError, shown
from bessemer.serve.protos import message
from bessemer.serve.wire import Array, Batch, Predictions

_NUMBER = 0xCED7230A
MAGIC = struct.pack("<I", _NUMBER)
_LENGTH = (1 << 29) - 1
#: The flags of a part: the whole record, its beginning, its middle, its end.
_WHOLE, _BEGIN, _END = 0, 1, 3


def frames(body: bytes) -> Iterator[bytes]:
    """The records in some bytes; a record in several parts had the magic number where they meet.

    Raises:
        RequestError: 400 where the bytes are no frame.

    >>> list(frames(framed(b"abc") + framed(b"")))
    [b'abc', b'']
    """
    place = 0
    parts: list[bytes] = []
    while place < len(body):
        if body[place : place + 4] != MAGIC or place + 8 > len(body):
            raise RequestError(400, f"there is no RecordIO frame at byte {place}")
        (word,) = struct.unpack_from("<I", body, place + 4)
        flag, size = word >> 29, word & _LENGTH
        begins = flag in (_WHOLE, _BEGIN)
        if flag > _END or begins == bool(parts) or place + 8 + size > len(body):
            raise RequestError(400, f"the RecordIO frame at byte {place} is broken")
        parts.append(body[place + 8 : place + 8 + size])
        place += 8 + size + -size % 4
        if flag in (_WHOLE, _END):
            yield MAGIC.join(parts)
            parts = []
    if parts:
        raise RequestError(400, "the last RecordIO record has no end")


def framed(record: bytes) -> bytes:
    """A record in one frame."""
    return MAGIC + struct.pack("<I", len(record)) + record + b"\0" * (-len(record) % 4)


def read_recordio(subject: Subject, body: bytes, *, ignore_extra: bool = False) -> Batch:
    """The rows of some records: the feature `values` has a number an input, in order; or each input is a feature.

    Raises:
        RequestError: 400 for another form, 413 for too many rows.
    """
    from google.protobuf.message import DecodeError

    kind = message("aialgs.data.Record")
    names = {field.name for field in subject.signature.inputs}
    rows: list[Any] = []
    for content in frames(body):
        subject.check_rows(len(rows) + 1)
        try:  # names are looked at when they are read
            features = dict(kind.FromString(content).features)
        except (DecodeError, UnicodeDecodeError) as error:
            raise RequestError(400, f"record {len(rows)} cannot be read: {error}") from None
        if "values" in features and "values" not in names:
            rows.append(_vector(features["values"], len(names)))
        else:
            rows.append({name: _one(name, value) for name, value in features.items()})
    values = subject.rows.read(rows, ignore_extra=ignore_extra)
    return Batch(len(values), values)


def _vector(value: Any, width: int) -> list[Any]:
    """The numbers of a tensor; of a sparse one, those without a key are 0."""
    which = value.WhichOneof("value")
    if which is None or which == "bytes":
        raise RequestError(400, "the feature 'values' is no tensor of numbers")
    tensor = getattr(value, which)
    numbers = [_known(number) for number in tensor.values]
    if not tensor.keys:
        return numbers
    if len(tensor.keys) != len(numbers):
        raise RequestError(400, f"{len(tensor.keys)} keys are given for {len(numbers)} values")
    row: list[Any] = [0.0] * width
    for key, number in zip(tensor.keys, numbers, strict=True):
        if key >= width:
            raise RequestError(400, f"the key {key} is none of {width} inputs")
        row[key] = number
    return row


def _known(number: float) -> float | None:
    return None if math.isnan(number) else number


def _one(name: str, value: Any) -> Any:
    """The value of a feature that is one input; a feature without values is missing."""
    which = value.WhichOneof("value")
    if which is None:
        return None
    values = value.bytes.value if which == "bytes" else getattr(value, which).values
    if len(values) > 1:
        raise RequestError(
            400, f"the feature {shown(name)} has {len(values)} values", fix="send one an input"
        )
    if not values:
        return None
    if which != "bytes":
        return _known(values[0])
    try:
        return values[0].decode("utf-8") or None
    except UnicodeDecodeError:
        raise RequestError(400, f"the feature {shown(name)} is not UTF-8") from None


def _labels(predictions: Predictions, prediction: str, probability: str, ending: str) -> dict[str, Array]:
    """The labels of a target."""
    shares = predictions.outputs.get(probability)
    if shares is None:
        return {f"score{ending}": predictions.outputs[prediction]}
    place = shares.argmax(axis=1)
    return {
        f"predicted_label{ending}": place,
        f"score{ending}": shares[:, 1] if shares.shape[1] == 2 else shares,
    }


def write_recordio(predictions: Predictions, further: Sequence[Further] = ()) -> bytes:
    """A record a row with the labels of SageMaker's Linear Learner.

    `score`: the predicted number, the probability of the second of two classes, or one a class; `predicted_label`: the
    place of the predicted class, from 0; of further targets both with `_TARGET` behind; when explained also `base` and
    `contribution_GROUP`.
    """
    labels = _labels(predictions, "prediction", "probability", "")
    for one in further:
        labels |= _labels(predictions, one.prediction, one.probability, f"_{one.name}")
    if predictions.base is not None:
        labels["base"] = predictions.base
        labels |= {f"contribution_{group}": each for group, each in predictions.contributions.items()}
    kind = message("aialgs.data.Record")
    found = []
    for row in range(predictions.rows):
        record = kind()
        for name, column in labels.items():
            record.label[name].float32_tensor.values.extend(np.float32(column[row]).reshape(-1).tolist())
        found.append(framed(record.SerializeToString(deterministic=True)))
    return b"".join(found)
