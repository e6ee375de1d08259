"""Reading an inference request of the Open Inference Protocol, with or without binary tensors after its JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from bessemer.serve.errors import RequestError, shown
from bessemer.serve.tensor_values import Tensor
from bessemer.serve.tensors import shape_of
from bessemer.serve.wire import Request, check_json, parse_json

#: The header that says how many bytes of JSON a body begins with, in requests and answers.
JSON_LENGTH = "inference-header-content-length"
#: Bytes of JSON that are remembered with what they say.
_MOST_KNOWN = 4096
_MEMORY = "shared_memory_region"
_SEQUENCE = "sequence_id"


class Wanted(NamedTuple):
    """An output that is asked for. classes: of Triton's classification, how many of the greatest; 0: as it is."""

    name: str
    binary: bool
    classes: int = 0


@dataclass(frozen=True)
class InferRequest:
    """What a client sent, before it is held against a model.

    outputs: the outputs it asks for; () for all of them.
    binary: whether outputs shall be binary where it does not say; explain: whether it wants contributions.
    timeout: seconds in which it wants its answer.
    raw: of a raw binary request, the whole body: the bytes of the model's one tensor.
    """

    id: str | None = None
    tensors: tuple[Tensor, ...] = ()
    outputs: tuple[Wanted, ...] = ()
    binary: bool = False
    explain: bool = False
    timeout: float | None = None
    raw: memoryview | None = None


def read_infer_request(request: Request) -> InferRequest:
    """The inference request in an HTTP request.

    Raises:
        RequestError: 400 when a part of it is absent, of the wrong type, or does not fit the bytes that were sent.
    """
    if request.headers.get(JSON_LENGTH) == "0":
        return InferRequest(binary=True, raw=memoryview(request.body))
    head, raw = _split(request)
    plan = _plan(bytes(head)) if raw and len(head) <= _MOST_KNOWN else _read(parse_json(head))
    return _filled(plan, raw)


@lru_cache(maxsize=256)
def _plan(head: bytes) -> InferRequest:
    """A request whose tensors' bytes are not there yet. A client that sends its tensors as bytes sends the same JSON
    before all of those with as many rows: it is read once."""
    return _read(parse_json(head))


def _read(body: Any) -> InferRequest:
    if not isinstance(body, dict) or not isinstance(body.get("inputs"), list):
        raise RequestError(400, "the body has no list 'inputs'", fix='send {"inputs": [{"name": ...}, ...]}')
    identity = body.get("id")
    if identity is not None and not isinstance(identity, str):
        raise RequestError(400, f"the id {shown(identity)} is not text", fix="send a JSON string")
    parameters = _parameters(body)
    binary, explain, timeout = read_parameters(parameters)
    return InferRequest(
        id=identity,
        tensors=_tensors(body["inputs"]),
        outputs=_outputs(body.get("outputs"), binary),
        binary=binary,
        explain=explain,
        timeout=timeout,
    )


def read_parameters(parameters: Mapping[str, Any]) -> tuple[bool, bool, float | None]:
    """What a request's parameters say: whether outputs are binary, whether it wants contributions, its seconds.

    `timeout` is in microseconds; `priority` is read and does nothing, as on a server without priority levels.

    Raises:
        RequestError: 400 for a parameter of the wrong type, 501 for a sequence.

    >>> read_parameters({"timeout": 500000, "explain": True})
    (False, True, 0.5)
    """
    binary, explain = (
        _boolean(parameters, "binary_data_output", False),
        _boolean(parameters, "explain", False),
    )
    if parameters.get(_SEQUENCE) not in (None, 0, ""):
        raise RequestError(
            501, "sequences are not spoken: this model keeps no state", fix="leave out sequence_id"
        )
    _whole(parameters, "priority")
    timeout = _whole(parameters, "timeout")
    return binary, explain, timeout / 1e6 if timeout else None


def read_wanted(name: str, parameters: Mapping[str, Any], binary: bool) -> Wanted:
    """An output that is asked for with its own parameters; `binary` holds where they do not say.

    Raises:
        RequestError: 400 for a parameter of the wrong type, 501 for shared memory.
    """
    refuse_memory(parameters)
    return Wanted(name, _boolean(parameters, "binary_data", binary), _whole(parameters, "classification"))


def refuse_memory(parameters: Mapping[str, Any]) -> None:
    """Refuse (501) a tensor that lies in shared memory."""
    if _MEMORY in parameters:
        raise RequestError(501, "shared memory is not spoken", fix="send the tensor's bytes in the request")


def _split(request: Request) -> tuple[bytes | memoryview, memoryview]:
    """The JSON of a request and the tensors' bytes after it."""
    length = request.headers.get(JSON_LENGTH)
    if length is None:
        check_json(request)
        return request.body, memoryview(b"")
    if not (length.isascii() and length.isdigit() and 0 < int(length) <= len(request.body)):
        raise RequestError(
            400,
            f"the header {JSON_LENGTH} is {shown(length)} for a body of {len(request.body)} bytes",
            fix="send how many bytes of JSON the body begins with",
        )
    body = memoryview(request.body)
    return body[: int(length)], body[int(length) :]


def _tensors(inputs: list[Any]) -> tuple[Tensor, ...]:
    """The input tensors; of those with a `binary_data_size` that size."""
    found: dict[str, Tensor] = {}
    for given in inputs:
        name = _name(given, "input")
        if name in found:
            raise RequestError(400, f"input '{name}' is given twice")
        parameters = _parameters(given)
        refuse_memory(parameters)
        size = parameters.get("binary_data_size")
        if size is not None and "data" in given:
            raise RequestError(400, f"input '{name}' has both 'data' and 'binary_data_size'")
        if size is not None and (type(size) is not int or size < 0):
            raise RequestError(400, f"binary_data_size is {shown(size)}", fix="send how many bytes it has")
        shape, datatype = shape_of(name, given.get("shape")), str(given.get("datatype", ""))
        found[name] = Tensor(name, datatype, shape, given.get("data"), size=size)
    return tuple(found.values())


def _filled(plan: InferRequest, raw: memoryview) -> InferRequest:
    """The request with its tensors' bytes, which lie one after the other."""
    if not raw and all(tensor.size is None for tensor in plan.tensors):
        return plan
    place, found = 0, []
    for tensor in plan.tensors:
        size = tensor.size
        if size is None:
            found.append(tensor)
            continue
        if place + size > len(raw):
            raise RequestError(
                400,
                f"binary_data_size is {size} where {len(raw) - place} bytes are left",
                fix=f"send the tensors after the JSON, and the header {JSON_LENGTH}",
            )
        part = raw[place : place + size]
        found.append(Tensor(tensor.name, tensor.datatype, tensor.shape, raw=part))
        place += size
    if place != len(raw):
        raise RequestError(400, f"{len(raw) - place} bytes after the last tensor belong to no input")
    return InferRequest(plan.id, tuple(found), plan.outputs, plan.binary, plan.explain, plan.timeout)


def _outputs(given: Any, binary: bool) -> tuple[Wanted, ...]:
    if given is None:
        return ()
    if not isinstance(given, list):
        raise RequestError(400, f"'outputs' is {shown(given)}, not a list", fix='send [{"name": ...}, ...]')
    return tuple(read_wanted(_name(output, "output"), _parameters(output), binary) for output in given)


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


def _boolean(parameters: Mapping[str, Any], name: str, default: bool) -> bool:
    value = parameters.get(name, default)
    if not isinstance(value, bool):
        raise RequestError(400, f"the parameter {name} is {shown(value)}", fix="send true or false")
    return value


def _whole(parameters: Mapping[str, Any], name: str) -> int:
    value = parameters.get(name, 0)
    if type(value) is not int or value < 0:
        raise RequestError(
            400, f"the parameter {name} is {shown(value)}", fix="send a whole number from 0 on"
        )
    return value
