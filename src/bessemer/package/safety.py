"""What a graph may hold before onnxruntime is allowed to see it.

No data outside the file, no operators but those of the ONNX standard and the few of `onnx_format.FOREIGN`, no local
functions, no version newer than we write, and the inputs the signature promises.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from google.protobuf.message import DecodeError

from bessemer.core.errors import FormatError
from bessemer.core.signature import Signature
from bessemer.package.onnx_format import (
    DOMAINS,
    EXTERNAL,
    FOREIGN,
    FOREIGN_OPSET,
    IR_VERSION,
    ML_OPSET,
    OPSET,
    TENSORS,
    inner_graphs,
    parse,
)

_VERSIONS = {"": OPSET, "ai.onnx.ml": ML_OPSET, **dict.fromkeys(FOREIGN, FOREIGN_OPSET)}


def _unsafe(what: str, why: str) -> FormatError:
    return FormatError(what, why=why, fix="do not use this file; build the package with `bessemer run`")


def _graphs(graph: Any) -> Iterator[Any]:
    """The graph and every graph inside its nodes."""
    yield graph
    for node in graph.node:
        for inner in inner_graphs(node):
            yield from _graphs(inner)


def _tensors(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for attribute in node.attribute:
            yield from attribute.tensors
            if attribute.HasField("t"):
                yield attribute.t
            for sparse in [*attribute.sparse_tensors, attribute.sparse_tensor]:
                yield from (sparse.values, sparse.indices)


def check_graph(data: bytes) -> Any:
    """The model in these bytes, when it is safe to run.

    Raises:
        FormatError: it is no ONNX model, or holds something a package may not.
    """
    try:
        model = parse(data)
    except DecodeError:
        raise FormatError("model.onnx is not an ONNX model", fix="build the package again") from None
    if model.ir_version > IR_VERSION:
        raise _unsafe("model.onnx is of a newer ONNX version", f"IR {model.ir_version} > {IR_VERSION}")
    if model.functions or model.training_info:
        raise _unsafe("model.onnx has local functions", "a package has nodes of the ONNX standard only")
    for opset in model.opset_import:
        domain = "" if opset.domain == "ai.onnx" else opset.domain
        if domain not in _VERSIONS:
            raise _unsafe("model.onnx has foreign operators", f"domain '{opset.domain}'")
        if opset.version > _VERSIONS[domain]:
            raise _unsafe("model.onnx is of a newer operator set", f"'{opset.domain}' {opset.version}")
    for graph in _graphs(model.graph):
        for node in graph.node:
            if node.domain not in DOMAINS and node.op_type not in FOREIGN.get(node.domain, ()):
                raise _unsafe("model.onnx has foreign operators", f"'{node.op_type}' of '{node.domain}'")
        for tensor in _tensors(graph):
            if tensor.data_location == EXTERNAL or tensor.external_data:
                raise _unsafe("model.onnx reads data outside the package", f"tensor '{tensor.name}'")
    return model


def check_signature_of(model: Any, signature: Signature) -> None:
    """Hold a graph's inputs and outputs against the signature.

    Raises:
        FormatError: they differ.
    """
    constants = {t.name for t in model.graph.initializer}
    given = {i.name: i.type.tensor_type.elem_type for i in model.graph.input if i.name not in constants}
    promised = {field.name: TENSORS.get(field.tensor, 0) for field in signature.inputs}
    if given != promised:
        # A name that is no UTF-8 is bytes.
        names = sorted(str(name) for name in {*given, *promised} if given.get(name) != promised.get(name))
        raise FormatError(
            "model.onnx takes other inputs than signature.json says",
            why=f"they differ in {', '.join(names[:5])}",
            fix="build the package again",
        )
    outputs = {o.name for o in model.graph.output}
    needed = {"prediction", "score"} | (set() if signature.task == "regression" else {"probability"})
    if missing := sorted(needed - outputs):
        raise FormatError(f"model.onnx has no output '{missing[0]}'", fix="build the package again")
