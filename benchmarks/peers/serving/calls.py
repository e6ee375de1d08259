"""What a client sends and how it reads the answer: one `Call` for each protocol and number of rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from peers.serving import grpc_v2
from peers.serving.project import INPUTS, NAME

Array = np.ndarray[Any, Any]
LENGTH = "inference-header-content-length"
#: So many different requests are sent in turn, each of rows of its own where there are enough.
BODIES = {1: 1024, 64: 64}
V2 = f"/v2/models/{NAME}/infer"


@dataclass(frozen=True)
class Body:
    """One request: its bytes, its headers beside the usual ones, and the rows it asks about (a slice of the 1,024)."""

    content: bytes
    rows: slice
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Form:
    """A way to ask. path: of the HTTP request. encode: rows to body and headers. decode: an answer's headers and body
    to float (N,).
    """

    path: str
    encode: Callable[[Array], tuple[bytes, dict[str, str]]]
    decode: Callable[[Mapping[str, str], bytes], Array]
    protocol: str = "http"


@dataclass(frozen=True)
class Call:
    """A form with its requests ready."""

    form: Form
    bodies: tuple[Body, ...]

    @classmethod
    def make(cls, form: Form, rows: Array, size: int) -> Call:
        count = BODIES[size]
        bodies = []
        for start in range(0, len(rows), len(rows) // count):
            part = slice(min(start, len(rows) - size), min(start, len(rows) - size) + size)
            content, headers = form.encode(rows[part])
            bodies.append(Body(content, part, headers))
        return cls(form, tuple(bodies))


def _numbers(rows: Array) -> list[Any]:
    """float32 as JSON has them: the shortest decimals that give them back."""
    shape = rows.shape
    flat = [float(str(value)) for value in rows.reshape(-1)]
    return np.array(flat).reshape(shape).tolist()


def _json(make: Callable[[Array], Any]) -> Callable[[Array], tuple[bytes, dict[str, str]]]:
    def encode(rows: Array) -> tuple[bytes, dict[str, str]]:
        return json.dumps(make(rows), separators=(",", ":")).encode(), {"content-type": "application/json"}

    return encode


def _answer(take: Callable[[Any], Any]) -> Callable[[Mapping[str, str], bytes], Array]:
    return lambda _, body: np.array(take(json.loads(body)), dtype=np.float64).reshape(-1)


def _predictions(answer: Any) -> Any:
    """The numbers, at the top or under `predictions`: a list of them, of objects of one, or an object of one list."""
    found = answer["predictions"] if isinstance(answer, dict) else answer
    if isinstance(found, dict):
        return next(iter(found.values()))
    return [next(iter(each.values())) if isinstance(each, dict) else each for each in found]


def _named(rows: Array) -> list[dict[str, float]]:
    return [dict(zip(INPUTS, row, strict=True)) for row in _numbers(rows)]


def _one(rows: Array) -> dict[str, Array]:
    return {"features": rows}


def columns(rows: Array) -> dict[str, Array]:
    """A tensor (N, 1) for each input, as Bessemer's V2 takes them."""
    return {name: np.ascontiguousarray(rows[:, i : i + 1]) for i, name in enumerate(INPUTS)}


def _tensors(split: Callable[[Array], dict[str, Array]], output: str) -> Callable[[Array], Any]:
    return lambda rows: {
        "inputs": [
            {"name": name, "shape": list(part.shape), "datatype": "FP32", "data": _numbers(part.reshape(-1))}
            for name, part in split(rows).items()
        ],
        "outputs": [{"name": output}],
    }


def _binary(
    split: Callable[[Array], dict[str, Array]], output: str
) -> Callable[[Array], tuple[bytes, dict[str, str]]]:
    def encode(rows: Array) -> tuple[bytes, dict[str, str]]:
        parts = split(rows)
        inputs = [
            {
                "name": n,
                "shape": list(p.shape),
                "datatype": "FP32",
                "parameters": {"binary_data_size": p.nbytes},
            }
            for n, p in parts.items()
        ]
        outputs = [{"name": output, "parameters": {"binary_data": True}}]
        asked = {"inputs": inputs, "outputs": outputs, "parameters": {"binary_data_output": True}}
        head = json.dumps(asked, separators=(",", ":")).encode()
        body = head + b"".join(part.astype("<f4").tobytes() for part in parts.values())
        return body, {"content-type": "application/octet-stream", LENGTH: str(len(head))}

    return encode


def _raw(headers: Mapping[str, str], body: bytes) -> Array:
    return np.frombuffer(body[int(headers[LENGTH]) :], "<f4")


def _message(
    split: Callable[[Array], dict[str, Array]], output: str
) -> Callable[[Array], tuple[bytes, dict[str, str]]]:
    return lambda rows: (grpc_v2.request(NAME, split(rows), [output]), {})


def _rows(path: str) -> Form:
    return Form(path, _json(lambda rows: {"rows": _numbers(rows)}), _answer(_predictions))


def _v2(split: Callable[[Array], dict[str, Array]], output: str) -> tuple[Form, Form, Form]:
    """JSON, binary tensors, gRPC."""
    return (
        Form(V2, _json(_tensors(split, output)), _answer(lambda answer: answer["outputs"][0]["data"])),
        Form(V2, _binary(split, output), _raw),
        Form(grpc_v2.METHOD, _message(split, output), lambda _, body: grpc_v2.response(body), "grpc"),
    )


_TENSOR, _COLUMNS = _v2(_one, "score"), _v2(columns, "prediction")
FORMS: dict[str, Form] = {
    "rows": _rows("/predict"),
    "torchserve": _rows("/predictions/model"),
    "named": Form("/predict", _json(lambda rows: {"rows": _named(rows)}), _answer(_predictions)),
    "v1": Form(
        f"/v1/models/{NAME}:predict", _json(lambda rows: {"instances": _numbers(rows)}), _answer(_predictions)
    ),
    "inputs": Form("/invocations", _json(lambda rows: {"inputs": _numbers(rows)}), _answer(_predictions)),
    "v2": _TENSOR[0],
    "v2 binary": _TENSOR[1],
    "v2 grpc": _TENSOR[2],
    "v2 columns": _COLUMNS[0],
    "v2 columns binary": _COLUMNS[1],
    "v2 columns grpc": _COLUMNS[2],
}
