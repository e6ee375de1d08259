"""What Triton's extensions tell of a model, as plain values: REST gives them as JSON, gRPC as messages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bessemer.core.signature import Field
from bessemer.serve.dialect import Entry, Models, Subject
from bessemer.serve.errors import RequestError, shown
from bessemer.serve.tensors import datatype_of

#: What the server metadata names: the extensions that are spoken.
EXTENSIONS = (
    "binary_tensor_data",
    "classification",
    "model_configuration",
    "model_repository",
    "parameters",
    "schedule_policy",
    "statistics",
)
_STRING = {"BYTES": "STRING"}


def metadata(models: Models, subject: Subject) -> dict[str, Any]:
    """The inputs and outputs of a model, and its versions."""
    signature = subject.signature
    return {
        "name": subject.name,
        "versions": [other.version for other in models.versions(subject.name)],
        "platform": "onnx_onnxv1",
        "inputs": [_described(field, [-1, 1]) for field in signature.inputs],
        "outputs": [_described(field, [-1, *field.shape]) for field in signature.outputs],
    }


def _described(field: Field, shape: list[int]) -> dict[str, Any]:
    return {"name": field.name, "datatype": datatype_of(field), "shape": shape}


def configuration(subject: Subject) -> dict[str, Any]:
    """The model's configuration, as far as a package and the server's settings have one (Triton's ModelConfig)."""
    signature = subject.signature
    told = {"version": subject.version, "task": signature.task, "learner": subject.learner}
    if subject.altered is not None:
        told["altered_answers"] = f"{subject.altered.alteration.share:g}"
    return {
        "name": subject.name,
        "platform": "onnxruntime_onnx",
        "backend": "onnxruntime",
        "max_batch_size": subject.spec.max_rows,
        "input": [{**_typed(field), "dims": [1], "optional": field.nullable} for field in signature.inputs],
        "output": [{**_typed(field), "dims": list(field.shape)} for field in signature.outputs],
        "default_model_filename": "model.onnx",
        "dynamic_batching": {},
        "parameters": {name: {"string_value": text} for name, text in told.items() if text},
    }


def _typed(field: Field) -> dict[str, Any]:
    datatype = datatype_of(field)
    return {"name": field.name, "data_type": f"TYPE_{_STRING.get(datatype, datatype)}"}


def statistics(subject: Subject) -> dict[str, Any]:
    """What a version has done (Triton's ModelStatistics): times in nanoseconds, the last inference in milliseconds.

    Rows are counted as inferences. There is no cache, and times are not kept by batch size.
    """
    found = subject.statistics
    each = {
        "queue": found.queue_seconds,
        "compute_input": found.decode_seconds,
        "compute_infer": found.infer_seconds,
        "compute_output": found.encode_seconds,
    }
    nothing = {"count": 0, "ns": 0}
    return {
        "name": subject.name,
        "version": subject.version,
        "last_inference": int(found.last * 1000),
        "inference_count": found.rows,
        "execution_count": found.batches,
        "inference_stats": {
            "success": _duration(found.requests, found.seconds),
            "fail": _duration(found.failed + found.late, found.failed_seconds),
            **{name: _duration(found.requests, seconds) for name, seconds in each.items()},
            "cache_hit": nothing,
            "cache_miss": nothing,
        },
    }


def _duration(count: int, seconds: float) -> dict[str, int]:
    return {"count": count, "ns": max(0, round(seconds * 1e9))}


def all_statistics(
    models: Models, name: str | None = None, version: str | None = None
) -> list[dict[str, Any]]:
    """Of one version, of all versions of a model, or of everything that is loaded."""
    if version:
        return [statistics(models.get(name, version))]
    names = (name,) if name else models.names()
    return [statistics(subject) for each in names for subject in models.versions(each)]


def index(entries: Iterable[Entry], *, ready: bool) -> list[dict[str, str]]:
    """The index of a repository; ready: only of what takes requests."""
    return [
        {"name": each.name, "version": each.version, "state": each.state, "reason": each.reason}
        for each in entries
        if not ready or each.state == "READY"
    ]


def load(models: Models, name: str, parameters: dict[str, Any]) -> None:
    """Load a model by its name, or from a `source` (a file or an address), or leave it as it is when it is loaded.

    Raises:
        RequestError: 400 for parameters that would change what a package says, and what `Models.load` raises.
    """
    for given in parameters:
        if given == "config" or given.startswith("file:"):
            what = f"the parameter '{given}' is not taken: a model is a signed package, which nothing is put into"
            raise RequestError(400, what, fix="load a package: send the parameter 'source' with its address")
    source = parameters.get("source")
    if source is not None and not isinstance(source, str):
        raise RequestError(400, f"the parameter source is {shown(source)}", fix="send a file or an address")
    try:
        models.load(source, name)
    except RequestError as error:
        if error.status != 409:  # loaded already: this protocol asks for no more
            raise
