"""A core's graph as plain steps and arrays, for workers that build it again in a framework of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bessemer.export.numeric.refusal import UncarriedError
from bessemer.package.onnx_format import parse
from bessemer.package.onnx_format.tensors import values_of

#: A group norm as graphs of older operator sets have it.
_GROUP_NORM = ("Reshape", "InstanceNormalization", "Reshape", "Mul", "Add")


@dataclass(frozen=True)
class Steps:
    """What a core computes.

    steps: {"op", "takes", "gives", "said"} in the order that they run; operators of ONNX's set 20, and
    `GroupNormalization` as set 21 has it. constants: by name.
    """

    steps: list[dict[str, Any]]
    constants: dict[str, np.ndarray]


def steps_of(graph: bytes) -> Steps:
    """The steps of a core, without those that do nothing.

    Raises:
        UncarriedError: a node says something that is neither number nor text.
    """
    model = parse(graph)
    constants = {t.name: array for t in model.graph.initializer if (array := values_of(t)) is not None}
    other: dict[str, str] = {}  # the name that a value goes by now
    kept: list[dict[str, Any]] = []
    never: set[str] = set()
    outputs = [value.name for value in model.graph.output]
    for node in model.graph.node:
        takes = [other.get(name, name) for name in node.input]
        same = _same(node, takes, never)
        if same and node.output[0] not in outputs:
            other[node.output[0]] = same
        elif node.op_type == "Less" and takes[0] == takes[1]:
            never.add(node.output[0])  # numbers of a core are never NaN
        else:
            said = {a.name: _said(a) for a in node.attribute}
            kept.append({"op": node.op_type, "takes": takes, "gives": list(node.output), "said": said})
    kept = list(_grouped(kept, constants))
    used = {name for step in kept for name in step["takes"]}
    return Steps(kept, {name: array for name, array in constants.items() if name in used})


def _same(node: Any, takes: list[str], never: set[str]) -> str:
    """The value that a node passes on; '' where it computes."""
    if node.op_type == "Identity":
        return takes[0]
    return takes[2] if node.op_type == "Where" and takes[0] in never else ""


def _said(attribute: Any) -> Any:
    """By AttributeProto's types: 1 float, 2 int, 3 string, 6 floats, 7 ints."""
    if attribute.type in (1, 2):
        return attribute.f if attribute.type == 1 else attribute.i
    if attribute.type == 3:
        return attribute.s.decode("utf-8")
    if attribute.type in (6, 7):
        return list(attribute.floats if attribute.type == 6 else attribute.ints)
    raise UncarriedError(f"its graph has an attribute '{attribute.name}' of an unknown type")


def _grouped(steps: list[dict[str, Any]], constants: dict[str, np.ndarray]) -> Iterator[dict[str, Any]]:
    """The steps, with each group norm as the one that it is."""
    i = 0
    while i < len(steps):
        part = steps[i : i + len(_GROUP_NORM)]
        found = _group_norm(part, constants) if _in_line(part, steps) else None
        yield found or steps[i]
        i += len(part) if found else 1


def _in_line(part: list[dict[str, Any]], steps: list[dict[str, Any]]) -> bool:
    """Whether they are the steps of a group norm, each of which only the next one looks at."""
    if tuple(step["op"] for step in part) != _GROUP_NORM:
        return False
    inner = [step["gives"][0] for step in part[:-1]]
    uses = [sum(name in step["takes"] for step in steps) for name in inner]
    return uses == [1] * len(inner) and all(
        name == step["takes"][0] for name, step in zip(inner, part[1:], strict=True)
    )


def _group_norm(part: list[dict[str, Any]], constants: dict[str, np.ndarray]) -> dict[str, Any] | None:
    to_groups, norm, back, scaled, shifted = part
    known: Mapping[str, np.ndarray] = constants
    if any(step["takes"][1] not in known for step in part) or norm["takes"][2] not in known:
        return None
    groups, channels = known[to_groups["takes"][1]], known[back["takes"][1]]
    size, bias = (known[step["takes"][1]] for step in (scaled, shifted))
    if groups.tolist()[0] not in (0, -1) or len(groups) != 3 or len(channels) < 3:
        return None
    count = int(channels[1])
    if (
        size.size != count
        or bias.size != count
        or (size.shape[:1] != (count,) and size.ndim >= len(channels))
    ):
        return None
    inner, inner_bias = (np.repeat(known[name], count // int(groups[1])) for name in norm["takes"][1:])
    size_name, bias_name = f"{shifted['gives'][0]}/scale", f"{shifted['gives'][0]}/bias"
    constants[size_name] = (size.reshape(-1) * inner).astype(np.float32)
    constants[bias_name] = (inner_bias * size.reshape(-1) + bias.reshape(-1)).astype(np.float32)
    said = {"num_groups": int(groups[1]), "epsilon": norm["said"].get("epsilon", 1e-5)}
    takes = [to_groups["takes"][0], size_name, bias_name]
    return {"op": "GroupNormalization", "takes": takes, "gives": shifted["gives"], "said": said}
