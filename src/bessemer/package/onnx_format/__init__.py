"""ONNX models as messages, without the `onnx` package: what loading a package needs of the format.

`messages.binpb` is the compiled description of onnx-ml.proto (ONNX, Apache-2.0), which
`python -m bessemer.package.onnx_format` takes from the `onnx` package. The messages live in a descriptor pool of their
own, so the `onnx` package may be there as well; the two kinds are not mixed: what is added to a model is made by the
model itself (`.add()`). protobuf, which reads them, comes with onnxruntime.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

OPSET = 20
ML_OPSET = 3
IR_VERSION = 10

#: The operator domains of the standard, of which a package may use every operator.
DOMAINS = ("", "ai.onnx.ml")
#: The operators of other domains that a package may use besides, and the version of their set.
FOREIGN: Mapping[str, tuple[str, ...]] = {
    "com.microsoft": ("Tokenizer",),
    "com.microsoft.extensions": ("DecodeImage",),
}
FOREIGN_OPSET = 1
#: Those of them that onnxruntime has from onnxruntime-extensions.
EXTENSIONS = ("com.microsoft.extensions",)

COMPILED = Path(__file__).parent / "messages.binpb"

# Some of TensorProto.DataType.
FLOAT, INT64, STRING, BOOL, DOUBLE = 1, 7, 8, 9, 11

#: The element type of each tensor type of a signature.
TENSORS: Mapping[str, int] = {
    "float32": FLOAT,
    "float64": DOUBLE,
    "int64": INT64,
    "string": STRING,
    "bool": BOOL,
}

#: TensorProto.DataLocation: the data are in another file.
EXTERNAL = 1


@cache
def message(name: str) -> Any:
    """The class of a message of ONNX, e.g. 'ModelProto'.

    Raises:
        KeyError: there is none.
    """
    from google.protobuf.message_factory import GetMessageClass

    return GetMessageClass(_pool().FindMessageTypeByName(f"onnx.{name}"))


@cache
def _pool() -> Any:
    from google.protobuf.descriptor_pool import DescriptorPool

    found = DescriptorPool()
    found.AddSerializedFile(COMPILED.read_bytes())
    return found


def parse(data: bytes) -> Any:
    """The model in these bytes.

    Raises:
        google.protobuf.message.DecodeError: they are no such message.

    >>> parse(serialize(message("ModelProto")(ir_version=10))).ir_version
    10
    """
    return message("ModelProto").FromString(data)


def serialize(model: Any) -> bytes:
    """The model's bytes, the same for the same model."""
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def inner_graphs(node: Any) -> Iterator[Any]:
    """The graphs that a node holds: the body of a Loop, the branches of an If."""
    for attribute in node.attribute:
        yield from attribute.graphs
        if attribute.HasField("g"):
            yield attribute.g


def all_nodes(graph: Any) -> Iterator[Any]:
    """The nodes of a graph and of every graph inside them."""
    for node in graph.node:
        yield node
        for inner in inner_graphs(node):
            yield from all_nodes(inner)


def element_type(name: str) -> int:
    """The number of an element type as onnxruntime writes it.

    Raises:
        ValueError: there is none.

    >>> element_type("tensor(int64)") == INT64
    True
    """
    known = message("TensorProto").DESCRIPTOR.enum_types_by_name["DataType"].values_by_name
    word = name.removeprefix("tensor(").removesuffix(")").upper()
    if word not in known:
        raise ValueError(f"no element type '{name}'")
    return int(known[word].number)


def describe(info: Any, name: str, element: int, shape: Sequence[int | str | None]) -> None:
    """Fill an empty ValueInfoProto: a tensor of such elements; None is a dimension that nothing is known of."""
    info.name = name
    info.type.tensor_type.elem_type = element
    info.type.tensor_type.shape.SetInParent()
    for size in shape:
        dim = info.type.tensor_type.shape.dim.add()
        if isinstance(size, str):
            dim.dim_param = size
        elif size is not None:
            dim.dim_value = size
