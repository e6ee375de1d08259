"""What the outputs of a foreign ONNX graph mean: a number, or probabilities of classes, as exporters write them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bessemer.core.errors import did_you_mean
from bessemer.importers.models.foreign import refused
from bessemer.package.onnx_format import DOUBLE, FLOAT, INT64, STRING, all_nodes

_FLOATS, _LABELS = (FLOAT, DOUBLE), (INT64, STRING, 6, 9)  # 6: int32, 9: bool
#: Operators that change no value but its shape or type, and those whose numbers are known by them.
_SHAPING = ("Identity", "Cast", "Reshape", "Squeeze", "Unsqueeze", "Flatten")
_CLASSIFIERS = ("LinearClassifier", "TreeEnsembleClassifier", "SVMClassifier")
_ENDS = {"Sigmoid": "probabilities", "Softmax": "probabilities", "LogSoftmax": "logits"}
_CLASS_NAMES = (
    "classlabels_strings", "classlabels_int64s", "classlabels_ints",
)  # fmt: skip


@dataclass(frozen=True)
class Answers:
    """value: the output that says most. labels: whether another one says a class. classes: as the graph names them.

    ends: the operator that makes `value`. says: `probabilities` or `logits` where that is known from it, else ''.
    probable: whether its name, or a ZipMap, calls it probabilities.
    """

    value: str
    labels: bool
    classes: tuple[Any, ...]
    ends: str
    says: str
    probable: bool


def answers_of(model: Any, wanted: str = "") -> Answers:
    """Look at the outputs; a ZipMap, which makes dictionaries of probabilities, is taken off the graph.

    Args:
        wanted: the name of the output that is the prediction, where that was said.

    Raises:
        FormatError: no output is understood, or more than one could be meant.
    """
    graph = model.graph
    producer = {name: node for node in graph.node for name in node.output if name}
    classes: tuple[Any, ...] = ()
    found, labels = [], False
    called: list[str] = []
    for output in graph.output:
        node = producer.get(output.name)
        if node is not None and node.op_type == "ZipMap":
            classes = next(_named([node]), ())
            found.append(node.input[0])
            called.append("probabilities")
        elif output.type.tensor_type.elem_type in _FLOATS:
            found.append(output.name)
        elif output.type.tensor_type.elem_type in _LABELS:
            labels = True
        else:
            raise refused(f"the output '{output.name}' of the ONNX graph is no tensor of numbers or classes")
    if not found:
        raise refused(
            "the ONNX graph has no output of numbers",
            "it says classes alone, without probabilities" if labels else "",
            "export it with its probabilities",
        )
    value = _chosen(found, wanted)
    _take_off(model, value)
    last = _last(value, producer)
    probable = bool(classes) or "prob" in value.lower() or any("prob" in name.lower() for name in called)
    return Answers(
        value,
        labels or bool(classes),
        classes or next(_named(all_nodes(graph)), ()),
        last.op_type if last is not None else "",
        _said(last) if last is not None else "",
        probable,
    )


def _last(value: str, producer: Mapping[str, Any]) -> Any:
    """The operator that makes the value, behind those that only turn its shape or type; None for an input."""
    for _ in range(len(producer)):
        node = producer.get(value)
        if node is None or node.op_type not in _SHAPING:
            return node
        value = node.input[0]
    return None


def _said(node: Any) -> str:
    """What an operator at the end says of its numbers."""
    if node.op_type in _CLASSIFIERS:
        after = next((a.s for a in node.attribute if a.name == "post_transform"), b"NONE")
        return "" if after == b"NONE" else "probabilities"
    if node.op_type == "Normalizer":
        norm = next((a.s for a in node.attribute if a.name == "norm"), b"MAX")
        return "probabilities" if norm == b"L1" else ""
    return _ENDS.get(node.op_type, "")


def _chosen(found: Sequence[str], wanted: str) -> str:
    if wanted and wanted not in found:
        raise refused(f"the model has no output '{wanted}' of numbers", fix=did_you_mean(wanted, found))
    if wanted or len(found) == 1:
        return wanted or found[0]
    told = [name for name in found if "prob" in name.lower()]
    if len(told) != 1:
        raise refused(
            f"the ONNX graph has {len(found)} outputs of numbers: {', '.join(found[:5])}",
            "which one is the prediction is not said",
            "say it in a signature (--signature FILE): `output: NAME`; or export it with one of them",
        )
    return told[0]


def _named(nodes: Any) -> Iterator[tuple[Any, ...]]:
    """The names of classes that operators carry."""
    for node in nodes:
        for attribute in node.attribute:
            if attribute.name in _CLASS_NAMES:
                names = [one.decode("utf-8") for one in attribute.strings] or list(attribute.ints)
                if names:
                    yield tuple(names)


def _take_off(model: Any, value: str) -> None:
    """Leave the value as the only output, of whatever shape it is, and no ZipMap."""
    kept = [node for node in model.graph.node if node.op_type != "ZipMap"]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    del model.graph.output[:]
    model.graph.output.add(name=value)
