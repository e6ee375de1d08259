"""What TorchServe's two protocols, REST and gRPC, have in common: rows out of parts, and the answers of its management.

The answers have the keys and the words of TorchServe 0.12; a key whose value this server does not know is left out.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import orjson

from bessemer.serve.any_rows import AnyRows, any_rows, read_any
from bessemer.serve.batching import MOST_ROWS
from bessemer.serve.csv_rows import read_csv, text_rows
from bessemer.serve.dialect import Models, Subject
from bessemer.serve.errors import RequestError, shown
from bessemer.serve.forms import Part
from bessemer.serve.loose_json import parse_loosely
from bessemer.serve.row_writer import explanations
from bessemer.serve.wire import Predictions, to_json

#: Where a body may have its rows: handlers look into `data` and `body`, the KServe envelope into `instances`.
KEYS = ("instances", "data", "body", "rows")
_PARTS = ("data", "body")
_MOST_LISTED = 100


def read_body(subject: Subject, body: bytes, content_type: str, *, ignore_extra: bool = False) -> AnyRows:
    """The rows of a body, or of the part of a form, that is CSV or, whatever it is called, JSON.

    Raises:
        RequestError: 400 when it is neither, or has faults; 413 for too many rows.
    """
    if content_type == "text/csv":
        batch = read_csv(subject, body, ignore_extra=ignore_extra)
        return AnyRows(batch.values or [], alone=False, typed=True)
    quick = read_any(subject, body, KEYS)
    if quick is not None:
        return quick
    return any_rows(subject, parse_loosely(body), KEYS, ignore_extra=ignore_extra)


def read_parts(subject: Subject, parts: Mapping[str, Part], *, ignore_extra: bool = False) -> AnyRows:
    """The rows of a request that has named parts: `data` or `body` is a body; else each part is a value of one row.

    Raises:
        RequestError: 400 where no part is any of these.
    """
    names = [field.name for field in subject.signature.inputs]
    inner = next((name for name in _PARTS if name in parts and name not in names), None)
    if inner is not None:
        part = parts[inner]
        return read_body(subject, part.body, part.content_type, ignore_extra=ignore_extra)
    if not any(name in parts for name in names):
        what = f"the parts {shown(list(parts)[:10])} are neither 'data' nor inputs of the model"
        raise RequestError(400, what, fix="send the rows in a part 'data'")
    texts = {name: _text(name, part.body) for name, part in parts.items()}
    row = dict.fromkeys(texts)
    subject.rows.read([row], ignore_extra=ignore_extra)  # names, and what may be absent
    order = [i if name in texts else None for i, name in enumerate(names)]
    return AnyRows(
        text_rows(subject.signature.inputs, [[texts.get(n, "") for n in names]], order), alone=True
    )


def _text(name: str, value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise RequestError(400, f"the part {shown(name)} is not UTF-8", fix="send text") from None


def write_answer(subject: Subject, predictions: Predictions, *, alone: bool, explained: bool) -> bytes:
    """The prediction of each row, or what explains it, in a list; of a row that stood alone, without the list."""
    if explained and predictions.base is not None:
        rows = [to_json(each) for each in explanations(predictions)]
    elif predictions.base is not None:
        rows = subject.writer.rows(predictions)
    else:
        rows = subject.writer.bare(predictions)
    return rows[0] if alone else b"[%b]" % b",".join(rows)


# management ----------------------------------------------------------------------------------------
def pretty(value: Any) -> bytes:
    """JSON as TorchServe writes it, for people.

    >>> pretty({"status": "Healthy"})
    b'{\\n  "status": "Healthy"\\n}\\n'
    """
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def url_of(subject: Subject) -> str:
    """Where a model is from: its address, or its file's name without the folders of this machine."""
    source = subject.source
    return source if "://" in source else PurePosixPath(source).name


def listed(models: Models, limit: int, start: int) -> dict[str, Any]:
    """The answer of ListModels: a page of the models' names, and where the next one begins."""
    limit = limit if 0 <= limit <= _MOST_LISTED else _MOST_LISTED
    names = sorted(models.names())
    start = max(start, 0)
    page = [
        {"modelName": name, "modelUrl": url_of(models.versions(name)[0])}
        for name in names[start : start + limit]
    ]
    token = {"nextPageToken": str(start + limit)} if start + limit <= len(names) else {}
    return {**token, "models": page}


def described(models: Models, name: str, version: str | None) -> list[dict[str, Any]]:
    """The answer of DescribeModel: of the default version, of one, or of `all`."""
    subjects: Sequence[Subject]
    subjects = models.versions(name) if version == "all" else (models.get(name, version or None),)
    return [_described(subject) for subject in subjects]


def _described(subject: Subject) -> dict[str, Any]:
    spec, done = subject.spec, subject.statistics
    worker = {
        "id": "0",
        "status": "READY" if subject.ready else "UNLOADING",
        "pid": os.getpid(),
        "gpu": False,
    }
    return {
        "modelName": subject.name,
        "modelVersion": subject.version,
        "modelUrl": url_of(subject),
        "runtime": "onnxruntime",
        "minWorkers": spec.threads,
        "maxWorkers": spec.threads,
        "batchSize": MOST_ROWS,
        "maxBatchDelay": 0,
        "responseTimeout": round(spec.timeout),
        "deviceType": "cpu",
        "workers": [worker],
        "metrics": {"rejectedRequests": done.failed + done.late, "requests": done.requests},
    }


def registered(models: Models, url: str, name: str) -> str:
    """Load a package (RegisterModel), and say so."""
    if not url:
        raise RequestError(400, "Parameter url is required.", fix="send ?url=churn-1.0.0.bsm")
    subject = models.load(url, name=name or None)
    workers = subject.spec.threads
    return f'Model "{subject.name}" Version: {subject.version} registered with {workers} initial workers'


def scaled(models: Models, name: str, version: str | None, least: int, most: int) -> str:
    """The answer of ScaleWorker: the threads are as many as the server was started with, which may be enough.

    Raises:
        RequestError: 400 when they are not, 404 for another model.
    """
    subject = models.get(name, version or None)
    threads = subject.spec.threads
    if most < least:
        raise RequestError(400, "max_worker cannot be less than min_worker.")
    if least > threads or least < 1:
        what = f"this server has {threads} threads for each model, and cannot scale '{name}' to {least}"
        fix = "unregister the model" if least < 1 else f"start the server with `threads: {least}`"
        raise RequestError(400, what, fix=fix)
    suffix = f", version: {subject.version}" if version else ""
    return f"Workers scaled to {threads} for model: {name}{suffix}"


def made_default(models: Models, name: str, version: str) -> str:
    """Make a version the one that answers where none is named (SetDefault)."""
    models.set_default(name, version)
    return f'Default version successfully updated for model "{name}" to "{version}"'


def unregistered(models: Models, name: str, version: str | None) -> str:
    """Take a version out of service (UnregisterModel); without one, the only version there is.

    Raises:
        RequestError: 403 when there are several, one of which is the default.
    """
    if not version and len(models.versions(name)) > 1:
        fix = "name a version that is not, or make another the default"
        raise RequestError(403, f"Cannot remove default version for model {name}", fix=fix)
    models.unload(name, version or None)
    return f'Model "{name}" unregistered'
