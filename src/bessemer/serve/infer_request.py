"""Reading an inference request of the Open Inference Protocol, with or without binary tensors after its JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bessemer.serve.errors import RequestError, shown
from bessemer.serve.tensors import Tensor, rows_of
from bessemer.serve.wire import Request, parse_json, read_json

#: The header that says how many bytes of JSON a body begins with, in requests and answers.
JSON_LENGTH = "inference-header-content-length"


@dataclass(frozen=True)
class InferRequest:
    """What a client sent, before it is held against a model.

    outputs: the outputs it asks for, each with whether it shall be binary; () for all of them.
    binary: whether outputs shall be binary where it does not say; explain: whether it wants contributions.
    """

    id: str | None
    tensors: tuple[Tensor, ...]
    outputs: tuple[tuple[str, bool], ...]
    binary: bool
    explain: bool


def read_infer_request(request: Request) -> InferRequest:
    """The inference request in an HTTP request.

    Raises:
        RequestError: 400 when a part of it is absent, of the wrong type, or does not fit the bytes that were sent.
    """
    body, raw = _split(request)
    if not isinstance(body, dict) or not isinstance(body.get("inputs"), list):
        raise RequestError(400, "the body has no list 'inputs'", fix='send {"inputs": [{"name": ...}, ...]}')
    identity = body.get("id")
    if identity is not None and not isinstance(identity, str):
        raise RequestError(400, f"the id {shown(identity)} is not text", fix="send a JSON string")
    parameters = _parameters(body)
    binary = _boolean(parameters, "binary_data_output", False)
    return InferRequest(
        id=identity,
        tensors=_tensors(body["inputs"], raw),
        outputs=_outputs(body.get("outputs"), binary),
        binary=binary,
        explain=_boolean(parameters, "explain", False),
    )


def _split(request: Request) -> tuple[Any, memoryview]:
    """The JSON of a request and the tensors' bytes after it."""
    length = request.headers.get(JSON_LENGTH)
    if length is None:
        return read_json(request), memoryview(b"")
    if not (length.isascii() and length.isdigit() and 0 < int(length) <= len(request.body)):
        raise RequestError(
            400,
            f"the header {JSON_LENGTH} is {shown(length)} for a body of {len(request.body)} bytes",
            fix="send how many bytes of JSON the body begins with",
        )
    body = memoryview(request.body)
    return parse_json(body[: int(length)]), body[int(length) :]


def _tensors(inputs: list[Any], raw: memoryview) -> tuple[Tensor, ...]:
    """The input tensors; those with a `binary_data_size` take their bytes one after the other."""
    found: dict[str, Tensor] = {}
    place = 0
    for given in inputs:
        name = _name(given, "input")
        if name in found:
            raise RequestError(400, f"input '{name}' is given twice")
        size = _parameters(given).get("binary_data_size")
        if size is not None and "data" in given:
            raise RequestError(400, f"input '{name}' has both 'data' and 'binary_data_size'")
        part = None if size is None else _slice(raw, place, size)
        place += len(part or b"")
        rows, datatype = rows_of(name, given.get("shape")), str(given.get("datatype", ""))
        found[name] = Tensor(name, datatype, rows, given.get("data"), part)
    if place != len(raw):
        raise RequestError(400, f"{len(raw) - place} bytes after the last tensor belong to no input")
    return tuple(found.values())


def _slice(raw: memoryview, place: int, size: Any) -> memoryview:
    if type(size) is not int or size < 0 or place + size > len(raw):
        raise RequestError(
            400,
            f"binary_data_size is {shown(size)} where {len(raw) - place} bytes are left",
            fix=f"send the tensors after the JSON, and the header {JSON_LENGTH}",
        )
    return raw[place : place + size]


def _outputs(given: Any, binary: bool) -> tuple[tuple[str, bool], ...]:
    if given is None:
        return ()
    if not isinstance(given, list):
        raise RequestError(400, f"'outputs' is {shown(given)}, not a list", fix='send [{"name": ...}, ...]')
    found: list[tuple[str, bool]] = []
    for output in given:
        name, parameters = _name(output, "output"), _parameters(output)
        if "classification" in parameters:
            raise RequestError(400, "the classification extension is not spoken", fix="ask for 'probability'")
        found.append((name, _boolean(parameters, "binary_data", binary)))
    return tuple(found)


def _name(given: Any, what: str) -> str:
    if not isinstance(given, dict) or not isinstance(given.get("name"), str):
        raise RequestError(400, f"the {what} {shown(given)} has no name")
    return str(given["name"])


def _parameters(given: dict[str, Any]) -> dict[str, Any]:
    parameters = given.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise RequestError(400, f"the parameters {shown(parameters)} are no object")
    return parameters


def _boolean(parameters: dict[str, Any], name: str, default: bool) -> bool:
    value = parameters.get(name, default)
    if not isinstance(value, bool):
        raise RequestError(400, f"the parameter {name} is {shown(value)}", fix="send true or false")
    return value
