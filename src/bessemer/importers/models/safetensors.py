"""Weights in safetensors, of a perceptron whose shape stands in the file's metadata under `bessemer`.

A file is the length of a JSON header, the header, and the tensors: https://huggingface.co/docs/safetensors.
Weights alone are no model. What is said beside them is JSON:

    {"task": "binary", "layers": ["0", "2"], "activation": "relu", "columns": ["age", "income"],
     "classes": ["no", "yes"], "mean": [40, 2.5], "scale": [12, 1]}

`layers` names the tensors `0.weight` (O, I) and `0.bias` (O,), as torch.nn.Sequential does; the last one gives one
margin (binary, regression) or one a class. `mean`, `scale` and `impute` are optional.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from bessemer.core.errors import did_you_mean
from bessemer.importers.models.foreign import Asked, Foreign, classes_of, named, numbers, refused
from bessemer.importers.models.perceptron import Layer, perceptron
from bessemer.importers.models.trees import reading

_KEY, _HEADER = "bessemer", 2**22
#: Weights that layers may share in any file.
_SHARED = 2**20
_PARTS = ("weight", "bias")
_FLOATS = {"F16": "<f2", "F32": "<f4", "F64": "<f8"}
_TASKS = ("binary", "multiclass", "regression")


class Safetensors:
    """The weights of dense layers."""

    TITLE: ClassVar[str] = "safetensors"

    def recognises(self, head: bytes) -> bool:
        return (
            len(head) > 9
            and 2 <= int.from_bytes(head[:8], "little") <= 100_000_000
            and head[8:10] in (b'{"', b"{ ")
        )

    def read(self, data: bytes, asked: Asked) -> Foreign:
        with reading("file of safetensors"):
            header, rest = header_of(data)
            return _read(header, rest, asked)


def header_of(data: bytes) -> tuple[dict[str, Any], bytes]:
    """What a file says of its tensors, and the bytes of all of them.

    Raises:
        FormatError, ValueError: it says nothing, or too much.
    """
    size = int.from_bytes(data[:8], "little")
    if size > min(_HEADER, len(data) - 8):
        raise refused(f"the header of the safetensors has {size:,} bytes", f"the file has {len(data):,}")
    header = json.loads(data[8 : 8 + size].decode("utf-8"))
    if not isinstance(header, dict):
        raise ValueError("the header is no object")
    return header, data[8 + size :]


def _read(header: Mapping[str, Any], rest: bytes, asked: Asked) -> Foreign:
    said = (header.get("__metadata__") or {}).get(_KEY)
    if said is None:
        raise refused(
            "the safetensors hold weights, and do not say of which network",
            f"there is no '{_KEY}' in their metadata",
            'save_file(weights, FILE, metadata={"bessemer": json.dumps({"task": "binary", "layers": ["0", "2"], '
            '"activation": "relu", "columns": [...]})}); or export the network as ONNX',
        )
    told = json.loads(said)
    if (task := told.get("task")) not in _TASKS:
        raise refused(f"the task {task!r} is none", fix=did_you_mean(str(task), _TASKS))
    activation = str(told.get("activation", "relu"))
    names = [str(one) for one in told["layers"]]
    # A short file may name the same tensor a thousand times.
    if _parameters(header, names) > max(_SHARED, len(rest) // 2):
        raise refused("the layers of the network take more weights than the file has")
    layers = [
        Layer(
            _floats(header, rest, f"{one}.weight").T.copy(), _floats(header, rest, f"{one}.bias"), activation
        )
        for one in names
    ]
    if not layers:
        raise refused("the network has no layers")
    count = layers[0].weight.shape[0]
    columns = named(asked, [str(one) for one in told.get("columns", ())], count)
    mean, scale = (_numbers(told, name, count, default) for name, default in (("mean", 0.0), ("scale", 1.0)))
    if (scale == 0).any():
        raise refused("a column is scaled by 0")
    impute = _numbers(told, "impute", count, 0.0) if "impute" in told else mean
    width = len(layers[-1].bias)
    classes = classes_of(asked, told.get("classes") or (), width if task == "multiclass" else 2)
    if width != (len(classes) if task == "multiclass" else 1):
        raise refused(f"the last layer has {width} numbers, which a {task} task has not")
    native = perceptron(layers, impute, mean, scale)
    return Foreign(
        "mlp",
        task,
        classes if task != "regression" else (),
        numbers(columns),
        native,
        {"activation": activation},
    )


def _parameters(header: Mapping[str, Any], layers: Sequence[str]) -> int:
    """How many weights the layers take; a tensor counts as often as it is named."""
    shapes = (header.get(f"{one}.{part}", {}).get("shape") or [1] for one in layers for part in _PARTS)
    return sum(math.prod(abs(int(size)) for size in shape) for shape in shapes)


def _numbers(told: Mapping[str, Any], name: str, count: int, default: float) -> np.ndarray:
    found = np.array(told.get(name, [default] * count), dtype=np.float64)
    if found.shape != (count,) or not np.isfinite(found).all():
        raise refused(f"'{name}' of the network is not a number for each of its {count} columns")
    return found


def _floats(header: Mapping[str, Any], rest: bytes, name: str) -> np.ndarray:
    return tensor_of(header, rest, name, _FLOATS, 2).astype(np.float32)


def check_shared(header: Mapping[str, Any], rest: bytes, names: Iterable[str]) -> None:
    """Hold the tensors that will be read to the bytes that there are: names of the same ones are a few bytes each.

    Raises:
        FormatError: together they have more than the file, and more than layers may share.
    """
    total = 0
    for name in names:
        first, end = (int(offset) for offset in header[name]["data_offsets"])
        total += max(0, end - first)
    if total > len(rest) + _SHARED:
        raise refused(
            f"the tensors of the safetensors have {total:,} bytes together",
            f"the file has {len(rest):,} for them",
        )


def tensor_of(
    header: Mapping[str, Any], rest: bytes, name: str, dtypes: Mapping[str, str], most: int
) -> np.ndarray:
    """A tensor of one of some types, with at most so many dimensions.

    Raises:
        FormatError: there is none, or it is another, or not where it says.
    """
    if name not in header:
        raise refused(f"the safetensors have no tensor '{name}'", fix=did_you_mean(name, header))
    entry = header[name]
    first, end = (int(offset) for offset in entry["data_offsets"])
    shape = [int(size) for size in entry["shape"]]
    if entry["dtype"] not in dtypes or min(shape, default=1) < 1 or len(shape) > most:
        raise refused(
            f"the tensor '{name}' is {entry['dtype']} of shape {shape}",
            f"{', '.join(dtypes)} of up to {most} dimensions are read",
        )
    dtype = np.dtype(dtypes[entry["dtype"]])
    count = int(np.prod(shape, dtype=object))
    if not 0 <= first <= end <= len(rest) or end - first != count * dtype.itemsize:
        raise refused(f"the tensor '{name}' is not where it says", f"bytes {first} to {end} of {len(rest)}")
    return np.frombuffer(rest[first:end], dtype).reshape(shape)
