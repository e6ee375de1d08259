"""A foreign ONNX file as a graph that may be built into ours: checked, in our operator sets, without ZipMap."""

from __future__ import annotations

from typing import Any

from bessemer.core.errors import FormatError
from bessemer.importers.models.foreign import refused
from bessemer.package.onnx_format import IR_VERSION, ML_OPSET, OPSET, all_nodes, inner_graphs, serialize
from bessemer.package.safety import check_graph

#: Most nodes of a graph, those inside of others among them, and what names another's version of LabelEncoder.
_MOST_NODES, _OLD_LABELS = 200_000, "classes_strings"

_ENDLESS, _CHANCE = "it may never end", "its answers would differ from one time to the next"
#: Operators of the standard that no foreign graph may have.
_REFUSED = {
    **dict.fromkeys(("Loop", "Scan", "SequenceMap"), _ENDLESS),
    **dict.fromkeys(
        (
            "RandomNormal",
            "RandomNormalLike",
            "RandomUniform",
            "RandomUniformLike",
            "Bernoulli",
            "Multinomial",
        ),
        _CHANCE,
    ),
}


def opened(data: bytes) -> Any:
    """The model (`onnx.ModelProto`), with the operators of our version, and without notes of its exporter.

    Raises:
        FormatError: it is none, or holds what a package may not: data of other files, foreign operators, functions.
    """
    import onnx

    try:
        model = onnx.load_model_from_string(data)
    except Exception as error:  # noqa: BLE001 - protobuf's and onnx's errors have no common class
        raise refused(
            "the file is no ONNX model that can be read", str(error).splitlines()[0][:200]
        ) from None
    _check(model)
    standard = max((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), default=OPSET)
    if standard != OPSET:
        model = _converted(model, standard)
    for opset in model.opset_import:
        if opset.domain == "ai.onnx.ml":
            opset.version = ML_OPSET
    model.ir_version = min(model.ir_version, IR_VERSION)
    model.ClearField("metadata_props")
    model.ClearField("doc_string")
    _forget(model.graph)
    return model


def _forget(graph: Any) -> None:
    """Take out what exporters leave for people: torch says of each node where it stands in whose source, with paths."""
    noted = [graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer]
    for one in noted:
        one.ClearField("metadata_props")
        one.ClearField("doc_string")
    for node in graph.node:
        for attribute in node.attribute:
            attribute.ClearField("doc_string")
            for tensor in (*attribute.tensors, *([attribute.t] if attribute.HasField("t") else ())):
                tensor.ClearField("metadata_props")
                tensor.ClearField("doc_string")
        for inner in inner_graphs(node):
            _forget(inner)


def _check(model: Any) -> None:
    """The rules of packages, but for the versions, which are made ours afterwards."""
    import onnx

    nodes = sum(1 for _ in all_nodes(model.graph))
    if not 0 < nodes <= _MOST_NODES:
        raise refused(f"the ONNX graph has {nodes:,} nodes", f"1 to {_MOST_NODES:,} are imported")
    for node in all_nodes(model.graph):
        if node.op_type in _REFUSED:
            raise refused(
                f"the ONNX graph has a {node.op_type}", _REFUSED[node.op_type], "export the model without it"
            )
    if model.graph.sparse_initializer:
        raise refused("the ONNX graph has sparse constants", fix="export it with dense ones")
    if any(
        a.name == _OLD_LABELS
        for n in all_nodes(model.graph)
        if n.op_type == "LabelEncoder"
        for a in n.attribute
    ):
        raise refused(
            "the ONNX graph has a LabelEncoder of the first version", fix="export it with ai.onnx.ml 3"
        )
    plain = onnx.ModelProto()
    plain.CopyFrom(model)
    plain.ir_version = min(plain.ir_version, IR_VERSION)
    for opset in plain.opset_import:
        opset.version = min(opset.version, ML_OPSET if opset.domain == "ai.onnx.ml" else OPSET)
    try:
        check_graph(serialize(plain))
    except FormatError as error:
        what = error.what.replace("model.onnx", "the ONNX file")
        raise refused(what, error.why, "export it whole, with operators of the ONNX standard alone") from None


def _converted(model: Any, version: int) -> Any:
    """The model with the standard's operators of our version; they change in what their attributes are, seldom more."""
    from onnx import version_converter

    try:
        return version_converter.convert_version(model, OPSET)
    except Exception as error:  # noqa: BLE001 - the converter raises what it likes
        raise refused(
            f"the ONNX graph is of operator set {version}, and cannot be brought to {OPSET}",
            str(error).strip().splitlines()[-1][:200] if str(error).strip() else "",
            f"export it with opset {OPSET}",
        ) from None
