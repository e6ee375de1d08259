"""Folders of safetensors with an architecture: layers by name, in the order that they run, as `bessemer export --to
safetensors` writes them and people may."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, get_args

import numpy as np

from bessemer.core.errors import did_you_mean
from bessemer.core.signature import Task
from bessemer.importers.models.encoder import asked_beside, encoder_of, noted
from bessemer.importers.models.foreign import MOST_COLUMNS, Asked, Foreign, agreed_classes, refused
from bessemer.importers.models.onnx import graph_read
from bessemer.importers.models.safetensors import check_shared, header_of, tensor_of
from bessemer.importers.models.trees import reading
from bessemer.package.graph import GraphBuilder, serialize

ARCHITECTURE, WEIGHTS = "architecture.json", "weights.safetensors"
_BYTES, _LAYERS = 2**24, 50_000
_TASKS = get_args(Task)
_DTYPES = {"F16": "<f2", "F32": "<f4", "F64": "<f8", "I64": "<i8"}
#: The operators of layers, as ONNX has them; those that the readers beside an export know.
_OPERATORS = """
Abs Add AveragePool BatchNormalization Clip Concat Conv Cos Div Elu Erf Exp Flatten Gather Gelu Gemm GlobalAveragePool
GroupNormalization Identity LayerNormalization LeakyRelu MatMul Max MaxPool Min Mul Neg Pow Relu Reshape Sigmoid Sin
Slice Softmax Softplus Sqrt Squeeze Sub Tanh Transpose Unsqueeze
"""
OPERATORS = frozenset(_OPERATORS.split())
#: Dimensions of a tensor: those of a convolution in space have five.
_MOST = 6


class LayersFolder:
    """`architecture.json` and `weights.safetensors`."""

    TITLE: ClassVar[str] = "safetensors with an architecture"

    def recognises(self, names: Collection[str]) -> bool:
        return ARCHITECTURE in names and WEIGHTS in names

    def read(self, files: Mapping[str, bytes], asked: Asked) -> Foreign:
        with reading(ARCHITECTURE):
            told = _architecture(files[ARCHITECTURE])
        with reading("file of safetensors"):
            tensors = _tensors(told["layers"], files[WEIGHTS])
        with reading(ARCHITECTURE):
            graph = _graph(told, tensors)
            asked = _said(asked, told)
        encoder = encoder_of(files)
        foreign = graph_read(graph, asked_beside(asked, encoder))
        if told.get("task") not in (None, foreign.task):
            raise refused(
                f"{ARCHITECTURE} says a {told['task']} task, and its numbers are of a {foreign.task} one",
                fix="correct its `task`, `classes` or `outputs`, or say what its numbers are: --scores",
            )
        return noted(foreign, encoder)


def _architecture(content: bytes) -> dict[str, Any]:
    """What the file says, held to what it may say."""
    if len(content) > _BYTES:
        raise refused(f"{ARCHITECTURE} has {len(content):,} bytes", f"up to {_BYTES:,} are read")
    told: dict[str, Any] = json.loads(content.decode("utf-8"))
    if told["format"] != 1:
        raise refused(f"{ARCHITECTURE} is of the form {told['format']!r}", "1 is known")
    layers, names = told["layers"], [str(told["input"])]
    if not 0 < len(layers) <= _LAYERS:
        raise refused(f"{ARCHITECTURE} has {len(layers):,} layers", f"1 to {_LAYERS:,} are imported")
    for layer in layers:
        name, op = str(layer["name"]), str(layer["op"])
        if op not in OPERATORS:
            raise refused(
                f"the layer '{name}' is a '{op}'", "which is none that is known", did_you_mean(op, OPERATORS)
            )
        if name in names:
            raise refused(f"two layers are called '{name}'")
        names.append(name)
    if (task := told.get("task")) is not None and task not in _TASKS:
        raise refused(f"the task {task!r} of {ARCHITECTURE} is none", fix=did_you_mean(str(task), _TASKS))
    if missing := [one for one in told["outputs"] if one not in names]:
        raise refused(f"no layer is the output '{missing[0]}'", fix=did_you_mean(str(missing[0]), names))
    return told


def _tensors(layers: Sequence[Mapping[str, Any]], content: bytes) -> dict[str, np.ndarray]:
    """The tensors that layers take, by name."""
    header, rest = header_of(content)
    made = {str(layer["name"]) for layer in layers}
    wanted = {str(name) for layer in layers for name in layer["takes"]} - made
    names = sorted(wanted & set(header))
    check_shared(header, rest, names)
    found = {name: tensor_of(header, rest, name, _DTYPES, _MOST) for name in names}
    return {name: array if array.dtype == np.int64 else _single(name, array) for name, array in found.items()}


def _single(name: str, array: np.ndarray) -> np.ndarray:
    """As float32.

    Raises:
        FormatError: one of the numbers is not finite, or too large for that.
    """
    with np.errstate(over="ignore"):
        made = array.astype(np.float32)
    if not np.isfinite(made).all():
        raise refused(f"the tensor '{name}' has numbers that are not finite as float32")
    return made


def _graph(told: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> bytes:
    """The layers as ONNX."""
    g = GraphBuilder("layers")
    values = {str(told["input"]): g.input(str(told["input"]), "float32", ("N", int(told["width"])))}
    for layer in told["layers"]:
        taken = [_value(g, str(name), layer, values, tensors) for name in layer["takes"]]
        values[str(layer["name"])] = _add(g, str(layer["op"]), taken, dict(layer.get("settings", {})))
    for name in map(str, told["outputs"]):
        g.output(g.op("Identity", [values[name]], name=f"layer/{name}"), "float32", ("N", "K"))
    return serialize(g.model())


def _value(
    g: GraphBuilder,
    name: str,
    layer: Mapping[str, Any],
    values: dict[str, str],
    tensors: Mapping[str, np.ndarray],
) -> str:
    if name in values:
        return values[name]
    if name not in tensors:
        raise refused(
            f"the layer '{layer['name']}' takes '{name}'",
            "which is neither an earlier layer nor a tensor",
            did_you_mean(name, [*values, *tensors]),
        )
    values[name] = g.constant(tensors[name])  # once: a short file may name it a thousand times
    return values[name]


def _add(g: GraphBuilder, op: str, taken: Sequence[str], settings: dict[str, Any]) -> str:
    if op == "GroupNormalization":  # the one of set 21, which takes a weight a channel
        x, scale, bias = taken
        return _group_norm(g, x, scale, bias, settings)
    return g.op(op, list(taken), **settings)


def _group_norm(g: GraphBuilder, x: str, scale: str, bias: str, settings: Mapping[str, Any]) -> str:
    groups = int(settings["num_groups"])
    if not 0 < groups <= MOST_COLUMNS:
        raise refused(f"a GroupNormalization has {groups:,} groups", f"1 to {MOST_COLUMNS:,} can be imported")
    parted = g.op("Reshape", [x, g.constant(np.array([0, groups, -1]))])
    ones, zeros = (g.constant(np.full(groups, value, dtype=np.float32)) for value in (1, 0))
    normal = g.op(
        "InstanceNormalization", [parted, ones, zeros], epsilon=float(settings.get("epsilon", 1e-5))
    )
    whole = g.op("Reshape", [normal, g.op("Shape", [x])])
    each = g.constant(np.array([-1, 1, 1]))
    scaled = g.op("Mul", [whole, g.op("Reshape", [scale, each])])
    return g.op("Add", [scaled, g.op("Reshape", [bias, each])])


def _said(asked: Asked, told: Mapping[str, Any]) -> Asked:
    """What is asked, with what the architecture says of classes and task."""
    classes = agreed_classes(asked, told.get("classes") or ())
    return replace(asked, classes=classes, task=asked.task or str(told.get("task") or ""))
