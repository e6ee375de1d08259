"""A program of torch.export as a module of torch.fx, made node by node of operators that are on the list."""

from __future__ import annotations

import json
import operator
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import fx

from bessemer.importers.models.torch.operators import allowed
from bessemer.importers.models.torch.program import SIZES

#: torch's numbers for types, and for how a tensor lies in memory.
_DTYPES = {
    1: torch.uint8, 2: torch.int8, 3: torch.int16, 4: torch.int32, 5: torch.int64, 6: torch.float16, 7: torch.float32,
    8: torch.float64, 12: torch.bool,
}  # fmt: skip
_FORMATS = {
    1: torch.contiguous_format,
    2: torch.channels_last,
    3: torch.channels_last_3d,
    4: torch.preserve_format,
}
_PLAIN = ("as_int", "as_ints", "as_bool", "as_bools", "as_string")


def module_of(folder: Path) -> fx.GraphModule:
    """The module of `program.json` and `weights.npz`."""
    told = json.loads((folder / "program.json").read_text(encoding="utf-8"))
    root = torch.nn.Module()
    graph = fx.Graph()
    values: dict[str, Any] = {name: graph.placeholder(f"x{i}") for i, name in enumerate(told["inputs"])}
    with np.load(folder / "weights.npz", allow_pickle=False) as arrays:
        places = {name: f"w{i}" for i, name in enumerate(arrays.files)}
        for name, place in places.items():
            root.register_buffer(place, torch.from_numpy(arrays[name].copy()))
    for value, name in told["weights"].items():
        values[value] = graph.get_attr(places[name])
    for node in told["nodes"]:
        _add(graph, node, values)
    graph.output(tuple(values[name] for name in told["outputs"]))
    return fx.GraphModule(root, graph).eval()


def _add(graph: fx.Graph, node: Mapping[str, Any], values: dict[str, Any]) -> None:
    target = node["target"]
    arguments = {one["name"]: _argument(one["arg"], values) for one in node["inputs"]}
    if target in SIZES:
        made = graph.call_function(getattr(operator, target.partition(".")[2]), tuple(arguments.values()))
    else:
        made = _called(graph, target, arguments)
    outputs = node["outputs"]
    if len(outputs) == 1 and "as_tensors" not in outputs[0]:
        values[_name(outputs[0])] = made
        return
    names = outputs[0]["as_tensors"] if len(outputs) == 1 else [_plain(one) for one in outputs]
    for i, one in enumerate(names):
        values[one["name"]] = graph.call_function(operator.getitem, (made, i))


def _called(graph: fx.Graph, target: str, arguments: dict[str, Any]) -> fx.Node:
    name, overload = target.removeprefix("torch.ops.aten.").split(".")
    if not allowed(f"aten::{name}"):
        raise ValueError(f"it has the operator '{name}'")
    function = getattr(getattr(torch.ops.aten, name), overload)
    positional: list[Any] = []
    for argument in function._schema.arguments:
        if argument.kwarg_only or argument.name not in arguments:
            break
        positional.append(arguments.pop(argument.name))
    return graph.call_function(function, tuple(positional), arguments)


def _plain(output: Mapping[str, Any]) -> Mapping[str, Any]:
    """Where the name of an output stands; one that nobody takes has none."""
    found: Mapping[str, Any] = output.get("as_tensor") or {"name": ""}
    return found


def _name(output: Mapping[str, Any]) -> str:
    ((kind, said),) = output.items()
    if kind == "as_tensor":
        return str(said["name"])
    if kind in ("as_sym_int", "as_sym_bool", "as_sym_float"):
        return str(said["as_name"])
    raise ValueError(f"an operator gives something that is no tensor ({kind})")


def _argument(said: Mapping[str, Any], values: Mapping[str, Any]) -> Any:
    ((kind, value),) = said.items()
    if kind in _PLAIN:
        return value
    if kind == "as_none":
        return None
    if kind in _READ:
        return _READ[kind](value, values)
    raise ValueError(f"an operator takes something that is no tensor and no number ({kind})")


def _each(kind: str) -> Any:
    return lambda value, values: [_READ[kind](one, values) for one in value]


def _symbol(value: Mapping[str, Any], values: Mapping[str, Any]) -> Any:
    return values[value["as_name"]] if "as_name" in value else next(iter(value.values()))


def _optional(value: Mapping[str, Any], values: Mapping[str, Any]) -> Any:
    return values[value["as_tensor"]["name"]] if "as_tensor" in value else None


_READ: Mapping[str, Any] = {
    "as_float": lambda value, values: float(value),  # "Infinity" is a text
    "as_tensor": lambda value, values: values[value["name"]],
    "as_floats": _each("as_float"),
    "as_tensors": _each("as_tensor"),
    "as_optional_tensor": _optional,
    "as_optional_tensors": _each("as_optional_tensor"),
    **{f"as_sym_{kind}": _symbol for kind in ("int", "bool", "float")},
    **{f"as_sym_{kind}s": _each(f"as_sym_{kind}") for kind in ("int", "bool", "float")},
    "as_scalar_type": lambda value, values: _DTYPES[value],
    "as_memory_format": lambda value, values: _FORMATS[value],
    "as_layout": lambda value, values: torch.strided,
    "as_device": lambda value, values: torch.device("cpu"),
}
