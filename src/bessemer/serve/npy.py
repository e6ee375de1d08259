"""Rows in numpy's own formats, .npy and .npz, to tensors, and predictions to arrays."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bessemer.core.signature import Field
from bessemer.serve.columns import as_feed, impossible, rows_to_feeds, takes_matrix, wrong_type
from bessemer.serve.csv_rows import text_rows
from bessemer.serve.dialect import Subject
from bessemer.serve.errors import MOST_FAULTS, RequestError, bad_rows
from bessemer.serve.frames import places
from bessemer.serve.npy_format import parse_npy, write_array
from bessemer.serve.wire import Array, Batch, Predictions

#: How many times larger than `max_body` the arrays of one .npz may be when they are unpacked.
_MOST_UNPACKED = 4
_LAST_POINT = 0x10FFFF


def read_npy(subject: Subject, body: bytes, *, ignore_extra: bool = False) -> Batch:
    """The rows of one array: a matrix (rows, inputs) of numbers or text, one row of it, or a structured array.

    Raises:
        RequestError: 400 for another shape or type, and for every value an input does not have; 413 for too many rows.
    """
    array = parse_npy(body)
    if array.dtype.names is not None:
        flat = array.reshape(-1)
        columns = {name: flat[name] for name in array.dtype.names}
        return _from_columns(subject, columns, ignore_extra=ignore_extra)
    fields = subject.signature.inputs
    if array.ndim == 1:
        array = array.reshape((-1, 1) if len(fields) == 1 else (1, -1))
    if array.ndim != 2 or array.shape[1] != len(fields):
        what = f"the array has the shape {array.shape}"
        raise RequestError(400, what, fix=f"send the shape (rows, {len(fields)})")
    subject.check_rows(len(array))
    if array.dtype.kind in "US":
        texts = _texts(array)
        rows = text_rows(fields, texts)
        return Batch(len(rows), rows, typed=True)
    if len(fields) > 1 and takes_matrix(fields) and array.dtype.kind in "biuf":
        return Batch(len(array), matrix=_to_matrix(fields, array))
    feeds = {field.name: _to_feed(field, array[:, i]) for i, field in enumerate(fields)}
    return Batch(len(array), feeds=feeds)


def _to_matrix(fields: Sequence[Field], array: Array) -> Array:
    """A matrix of numbers as the graph takes one; whole numbers and booleans are looked at."""
    for i, field in enumerate(fields):
        if field.dtype != "number":
            _check(field, array[:, i].astype(np.float64))
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(array, dtype=np.float32)


def read_npz(subject: Subject, body: bytes, *, ignore_extra: bool = False) -> Batch:
    """The rows of several arrays, each named for an input and of shape (rows,) or (rows, 1).

    Raises:
        RequestError: 400 for what is no .npz or does not fit the inputs; 413 for too many rows or bytes.
    """
    columns = {name: parse_npy(content) for name, content in _members(subject, body).items()}
    return _from_columns(subject, columns, ignore_extra=ignore_extra)


def _members(subject: Subject, body: bytes) -> dict[str, bytes]:
    most = _MOST_UNPACKED * subject.spec.max_body
    found: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            for info in archive.infolist()[: 2 * len(subject.signature.inputs) + 16]:
                with archive.open(info) as member:
                    content = member.read(most + 1)
                most -= len(content)
                if most < 0:
                    raise RequestError(413, "the arrays are too large", fix="send several requests")
                found[info.filename.removesuffix(".npy")] = content
    except (
        zipfile.BadZipFile,
        zlib.error,
        ValueError,
        NotImplementedError,
        RuntimeError,
        EOFError,
        OSError,
    ) as error:
        raise RequestError(400, f"the body is no .npz file: {error}") from None
    return found


def _from_columns(subject: Subject, columns: Mapping[str, Array], *, ignore_extra: bool) -> Batch:
    order = places(subject, list(columns), ignore_extra=ignore_extra)
    values = list(columns.values())
    given = [values[place] for place in order if place is not None]
    for array in given:
        if array.ndim not in (1, 2) or array.shape[1:] not in ((), (1,)):
            raise RequestError(400, f"an array has the shape {array.shape}", fix="send the shape (rows,)")
    counts = {len(array) for array in given}
    if len(counts) != 1:
        raise RequestError(400, f"the arrays differ in their rows: {sorted(counts)}")
    (rows,) = counts
    subject.check_rows(rows)
    feeds = {
        field.name: _missing(field, rows) if place is None else _to_feed(field, values[place].reshape(-1))
        for field, place in zip(subject.signature.inputs, order, strict=True)
    }
    return Batch(rows, feeds=feeds)


def _missing(field: Field, rows: int) -> Array:
    if field.dtype == "string":
        return as_feed(np.full(rows, "", dtype=object), field)
    return as_feed(np.full(rows, np.iinfo(np.int64).min if field.dtype == "timestamp" else np.nan), field)


def _to_feed(field: Field, array: Array) -> Array:
    """One column as the tensor (rows, 1) of a field."""
    kind = array.dtype.kind
    if kind in "US":
        return _text_feed(field, array)
    if field.dtype == "timestamp" and kind == "M":
        return as_feed(array.astype("datetime64[us]").astype(np.int64), field)
    if field.dtype == "timestamp" and kind in "iu" and array.dtype != np.uint64:
        return as_feed(array.astype(np.int64), field)
    if field.dtype in ("string", "timestamp") or kind not in "biuf":
        raise RequestError(400, f"the input '{field.name}' is a {field.dtype} and cannot be {array.dtype}")
    wide = array.astype(np.float64)
    _check(field, wide)
    return as_feed(wide, field)


def _check(field: Field, wide: Array) -> None:
    """Refuse numbers that the field's type does not have."""
    bad = np.flatnonzero(impossible(wide, field))
    if len(bad):
        raise bad_rows([wrong_type(int(i), field, wide[i].item()) for i in bad[: MOST_FAULTS + 1]])


def _text_feed(field: Field, array: Array) -> Array:
    """A column of text: of a text input as it is, of another one as CSV is read."""
    return rows_to_feeds(text_rows([field], _texts(array.reshape(-1, 1))), [field])[field.name]


def _texts(array: Array) -> list[list[str]]:
    """A matrix of text as lists, bytes as UTF-8."""
    if array.dtype.kind == "U":
        points = np.ascontiguousarray(array).view(np.dtype("u4").newbyteorder(array.dtype.byteorder))
        if (points > _LAST_POINT).any() or ((points >= 0xD800) & (points < 0xE000)).any():
            raise RequestError(400, "the array's text has what is no Unicode")
        texts: list[list[str]] = array.tolist()
        return texts
    try:
        return [[cell.decode("utf-8") for cell in row] for row in array.tolist()]
    except UnicodeDecodeError as error:
        raise RequestError(400, f"the array's bytes are not UTF-8: {error}") from None


# answers -------------------------------------------------------------------------------------------
def write_npy(predictions: Predictions) -> bytes:
    """`probability` (rows, classes) where there are classes, `prediction` (rows,) where a number is predicted: one
    array, so of several targets the main one alone."""
    outputs = predictions.outputs
    return write_array(outputs.get("probability", outputs["prediction"]))


def write_npz(predictions: Predictions) -> bytes:
    """Every output under its name; when explained also `score`, `base` and `contribution_GROUP`."""
    arrays: dict[str, Any] = dict(predictions.outputs)
    if predictions.base is not None:
        arrays |= {"score": predictions.explained, "base": predictions.base}
        arrays |= {f"contribution_{group}": each for group, each in predictions.contributions.items()}
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, array in arrays.items():  # an entry without a date: the same arrays are the same bytes
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), write_array(array))
    return stream.getvalue()
