"""The bodies of SageMaker's requests and answers, by their content type.

https://docs.aws.amazon.com/sagemaker/latest/dg/cdf-inference.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bessemer.serve.csv_rows import read_csv
from bessemer.serve.dialect import Subject, extra_ignored, flag
from bessemer.serve.errors import RequestError, shown
from bessemer.serve.frames import read_columns, read_rows
from bessemer.serve.loose_json import parse_loosely
from bessemer.serve.media import CSV, JSON_LINES, NPY, NPZ, RECORDIO, check_charset, media_type
from bessemer.serve.npy import read_npy, read_npz, write_npy, write_npz
from bessemer.serve.record_writer import writer_of
from bessemer.serve.recordio import MAGIC, read_recordio, write_recordio
from bessemer.serve.wire import BINARY, JSON, Batch, Predictions, Request

#: The forms of an answer.
ANSWERS = (JSON, CSV, JSON_LINES, NPY, NPZ, RECORDIO)
_HEADERS = {"present": True, "absent": False}
_EXPLAIN = "x-amzn-sagemaker-enable-explanations"


# requests ------------------------------------------------------------------------------------------
def read_body(subject: Subject, request: Request) -> Batch:
    """The rows of a request.

    Raises:
        RequestError: 415 for another content type or charset, 400 for a body that is not that, 413 for too much.
    """
    if request.headers.get("content-type") == JSON:
        return _read_json(subject, request.body, ignore_extra=extra_ignored(request))
    kind, parameters = media_type(request)
    check_charset(parameters)
    if kind in ("", BINARY):  # boto3 says octet-stream where its caller says nothing
        kind = _looks_like(request.body)
    read = _READERS.get(kind)
    if read is None:
        fix = "send " + ", ".join(_READERS)
        raise RequestError(415, f"the content type {shown(kind or BINARY)} is not read", fix=fix)
    ignore = extra_ignored(request)
    if read is read_csv:
        header = _HEADERS.get(parameters.get("header", ""))
        return read_csv(subject, request.body, header=header, ignore_extra=ignore)
    return read(subject, request.body, ignore_extra=ignore)


def _looks_like(body: bytes) -> str:
    """The type of a body that does not say it; '' where its first bytes do not either."""
    for start, kind in _STARTS.items():
        if body.startswith(start):
            return kind
    return JSON if body[:64].lstrip()[:1] in (b"{", b"[") else ""


def wants_explanations(request: Request) -> bool:
    """Whether a request asks to be explained: by the query, or by the header EnableExplanations of the runtime API.

    Raises:
        RequestError: 400 for an expression over the records, which only SageMaker Clarify has.
    """
    text = request.headers.get(_EXPLAIN)
    if text is None:
        return flag(request, "explain")
    word = text.strip("` ").lower()
    if word not in ("true", "false"):
        raise RequestError(
            400,
            f"EnableExplanations is {shown(text)}",
            fix="send `true` or `false`: expressions are not read",
        )
    return word == "true"


def _read_json(subject: Subject, body: bytes, *, ignore_extra: bool = False) -> Batch:
    """`{"instances": [...]}`, a list of rows, one row, or columns as `{"inputs": {...}}`."""
    if body[:64].lstrip()[:1] == b"{":
        values = subject.rows.decode(body, "instances")
        if values is not None:
            return Batch(len(values), values, typed=True)
    content = parse_loosely(body)
    names = {field.name for field in subject.signature.inputs}
    if isinstance(content, dict) and not names & content.keys():
        if isinstance(content.get("inputs"), dict):
            return read_columns(subject, content["inputs"], ignore_extra=ignore_extra)
        for key in ("instances", "inputs"):
            if key in content:
                return _rows(subject, content[key], key, names, ignore_extra)
    rows = content if isinstance(content, list) else [content]
    if rows and not any(isinstance(row, dict | list) for row in rows):
        rows = [rows]  # one row as a list of its values
    return _rows(subject, rows, "instances", names, ignore_extra)


def _read_lines(subject: Subject, body: bytes, *, ignore_extra: bool = False) -> Batch:
    """A row a line."""
    lines = [line for line in body.split(b"\n", subject.spec.max_rows + 2) if line.strip()]
    subject.check_rows(len(lines))
    rows = [parse_loosely(line) for line in lines]
    names = {field.name for field in subject.signature.inputs}
    return _rows(subject, rows, "lines", names, ignore_extra)


def _rows(subject: Subject, rows: Any, key: str, names: set[str], ignore_extra: bool) -> Batch:
    if isinstance(rows, list):
        rows = [_unwrapped(row, names) for row in rows]
    return read_rows(subject, rows, key, ignore_extra=ignore_extra)


def _unwrapped(row: Any, names: set[str]) -> Any:
    """A row out of `{"features": [...]}` or `{"data": {"features": {"values": [...]}}}`, sparse or dense."""
    inner = row
    for key in ("data", "features"):
        if isinstance(inner, dict) and key in inner and not names & inner.keys():
            inner = inner[key]
    if inner is row or not isinstance(inner, dict) or "values" not in inner or names & inner.keys():
        return inner
    values, keys = inner["values"], inner.get("keys")
    if not keys:
        return values
    return dense(values, keys, len(names))


def dense(values: Any, keys: Any, width: int) -> list[Any]:
    """A sparse row as a whole one: what has no key is 0.

    Raises:
        RequestError: 400 when keys and values do not fit each other, or the inputs.

    >>> dense([7, 8], [2, 0], 4)
    [8, 0, 7, 0]
    """
    if not (isinstance(values, list) and isinstance(keys, list) and len(values) == len(keys)):
        raise RequestError(400, f"{shown(keys)} are no keys for the values {shown(values)}")
    row: list[Any] = [0] * width
    for key, value in zip(keys, values, strict=True):
        if type(key) is not int or not 0 <= key < width:
            raise RequestError(400, f"the key {shown(key)} is none of {width} inputs")
        row[key] = value
    return row


_READERS: Mapping[str, Callable[..., Batch]] = {
    JSON: _read_json,
    CSV: read_csv,
    JSON_LINES: _read_lines,
    "application/x-jsonlines": _read_lines,
    NPY: read_npy,
    NPZ: read_npz,
    RECORDIO: read_recordio,
}
_STARTS: Mapping[bytes, str] = {b"\x93NUMPY": NPY, b"PK\x03\x04": NPZ, MAGIC: RECORDIO}


# answers -------------------------------------------------------------------------------------------
def write_answer(subject: Subject, predictions: Predictions, kind: str) -> bytes:
    """The predictions in one of the ANSWERS."""
    writer = writer_of(subject)
    if kind == JSON:
        return b'{"predictions":[%b]}' % b",".join(writer.objects(predictions))
    if kind == CSV:
        return b"".join(line + b"\n" for line in writer.lines(predictions))
    if kind == JSON_LINES:
        return b"".join(line + b"\n" for line in writer.objects(predictions))
    if kind == RECORDIO:
        return write_recordio(predictions, subject.signature.further)
    return write_npy(predictions) if kind == NPY else write_npz(predictions)
