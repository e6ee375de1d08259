"""Taking a graph apart: the part some outputs need, and the part that depends on one text column only.

A table of a million rows has few distinct values in most text columns. What the graph computes from one text
input alone (its *cone*) can be computed once for each distinct value and then looked up for each row. The
values where cones end are the *frontier*. The nodes are the same, so the results are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bessemer.package.onnx_format import FLOAT, FOREIGN, STRING, all_nodes, describe, inner_graphs
from bessemer.package.onnx_format.tensors import values_of
from bessemer.package.row_loops import rows_of

# Operators that treat every row by itself whatever their attributes are.
_ELEMENTWISE = frozenset(
    (
        *(
            "Abs",
            "Add",
            "And",
            "Cast",
            "Ceil",
            "Clip",
            "Cos",
            "Div",
            "Equal",
            "Erf",
            "Exp",
            "Floor",
            "Greater",
        ),
        *(
            "GreaterOrEqual",
            "Identity",
            "IsInf",
            "IsNaN",
            "LabelEncoder",
            "Less",
            "LessOrEqual",
            "Log",
            "Max",
        ),
        *("Min", "Mod", "Mul", "Neg", "Not", "Or", "Pow", "Reciprocal", "RegexFullMatch", "Relu", "Round"),
        *("Sigmoid", "Sign", "Sin", "Sqrt", "StringConcat", "StringSplit", "Sub", "Tan", "Tanh"),
        *("TfIdfVectorizer", "Where", "Xor"),
    )
)


def _attribute(node: Any, name: str, default: int) -> int:
    return next((a.i for a in node.attribute if a.name == name), default)


class _Graph:
    """Look-ups over a model's graph: who makes a value, what a constant holds."""

    def __init__(self, model: Any) -> None:
        graph = model.graph
        self.model = model
        self.constants = {t.name: t for t in graph.initializer}
        self.producer = {name: node for node in graph.node for name in node.output if name}

    def constant(self, name: str) -> list[Any]:
        tensor = self.constants.get(name)
        found = values_of(tensor) if tensor is not None else None
        return found.reshape(-1).tolist() if found is not None else []

    def by_row(self, node: Any) -> bool:
        """Whether the node treats every row by itself, along axis 0 of its result.

        An operator that is not known to do so does not, which costs speed and nothing else.
        """
        kind, inputs = node.op_type, list(node.input)
        if kind in _ELEMENTWISE:
            return True
        if kind == "StringNormalizer":  # with stop words it drops elements
            return not any(a.name == "stopwords" and len(a.strings) for a in node.attribute)
        if kind == "Gather":
            axis = _attribute(node, "axis", 0)
            return (axis == 0 and inputs[0] in self.constants) or (axis == 1 and inputs[1] in self.constants)
        if kind == "Concat":
            return _attribute(node, "axis", 0) == 1 and not any(i in self.constants for i in inputs)
        if kind == "Reshape":  # rows stay rows; a result of another length is noticed when it is run
            shape = self.constant(inputs[1])
            return bool(shape) and shape[0] in (0, -1)
        if kind in ("ReduceSum", "ReduceMax", "ReduceMin", "Squeeze", "Unsqueeze"):
            axes = self.constant(inputs[1]) if len(inputs) > 1 else []
            return bool(axes) and all(axis > 0 for axis in axes)
        return False


def node_inputs(node: Any) -> Iterator[str]:
    """The values a node reads, those its sub-graphs capture among them."""
    yield from (name for name in node.input if name)
    for graph in inner_graphs(node):
        own = {name for inner in graph.node for name in inner.output}
        own |= {i.name for i in graph.input} | {t.name for t in graph.initializer}
        outer = (name for inner in graph.node for name in node_inputs(inner))
        yield from (name for name in [*outer, *(o.name for o in graph.output)] if name not in own)


def values(model: Any) -> set[str]:
    """Every value of the graph that can be asked for: all that its nodes compute."""
    return {name for node in model.graph.node for name in node.output if name}


def _needed(producer: Mapping[str, Any], wanted: Iterable[str], stop: Iterable[str] = ()) -> set[str]:
    """The values that `wanted` are computed from, themselves included, looking no further than `stop`."""
    border, seen, todo = set(stop), set[str](), list(wanted)
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            if name in producer and name not in border:
                todo.extend(node_inputs(producer[name]))
    return seen


def extract(model: Any, inputs: Sequence[Any], outputs: Sequence[str]) -> Any:
    """The part of a model that computes `outputs` (any values of it), as a model of its own.

    Args:
        model: a ModelProto; it is left as it is.
        inputs: ValueInfoProtos of the new model's inputs (of it, or by `value_info`), which may be internal values
            of the old one. Those the outputs do not need are left out, and so is what made the others.
        outputs: names; their types are inferred when the model is loaded.
    """
    given = {i.name: i for i in inputs}
    producer = {name: node for node in model.graph.node for name in node.output if name}
    needed = _needed(producer, outputs, given)
    part = type(model)()
    part.ir_version, part.producer_name = model.ir_version, model.producer_name
    part.graph.name = model.graph.name
    made = needed - set(given)
    part.graph.node.extend(n for n in model.graph.node if any(o in made for o in n.output))
    unused = FOREIGN.keys() - {node.domain for node in all_nodes(part.graph)}
    part.opset_import.extend(opset for opset in model.opset_import if opset.domain not in unused)
    part.graph.initializer.extend(t for t in model.graph.initializer if t.name in made)
    part.graph.input.extend(i for name, i in given.items() if name in needed)
    declared = {o.name: o for o in model.graph.output}
    for name in outputs:
        if name in declared:
            part.graph.output.append(declared[name])
        else:
            part.graph.output.add(name=name)
    return part


def value_info(model: Any, name: str, element: int, shape: Sequence[int | str | None]) -> Any:
    """A ValueInfoProto to use with a model: a tensor of such elements (see `onnx_format.describe`)."""
    made = type(model)().graph.input.add()
    describe(made, name, element, shape)
    return made


def is_behind(model: Any, value: str, outputs: Sequence[str]) -> bool:
    """Whether `outputs` can be computed from an internal value of a model and nothing else."""
    if value not in values(model) or value in outputs:
        return False
    producer = {name: node for node in model.graph.node for name in node.output if name}
    needed = _needed(producer, outputs, [value])
    return value in needed and not any(i.name in needed for i in model.graph.input)


def behind(model: Any, value: str, outputs: Sequence[str]) -> Any:
    """The part of a model from a float32 value (N, F) of it to `outputs`, as a model of its own; None where there is no
    such value, or the outputs need more than it."""
    if not is_behind(model, value, outputs):
        return None
    return extract(model, [value_info(model, value, FLOAT, ["N", None])], outputs)


@dataclass(frozen=True)
class Cut:
    """Where a graph is cut: `frontier` maps each looked-up value to the text input it is computed from."""

    frontier: Mapping[str, str]

    def encoder(self, model: Any) -> Any:
        """The graph from distinct texts to the frontier's values; each input has a row count of its own."""
        inputs = []
        for i, declared in enumerate(t for t in model.graph.input if t.name in set(self.frontier.values())):
            own = type(declared)()
            own.CopyFrom(declared)
            own.type.tensor_type.shape.dim[0].dim_param = f"distinct_{i}"
            inputs.append(own)
        return extract(model, inputs, list(self.frontier))


def find_cut(model: Any, outputs: Sequence[str]) -> Cut:
    """The frontier of the text inputs' cones, for the part of the graph that `outputs` need."""
    graph = _Graph(model)
    texts = [i.name for i in model.graph.input if i.type.tensor_type.elem_type == STRING]
    owner = {name: name for name in texts}  # value -> the one text input it depends on
    needed = _needed(graph.producer, outputs)
    nodes = [n for n in model.graph.node if any(o in needed for o in n.output)]
    inside = set()
    for node in nodes:  # nodes of a valid model are in topological order
        rows = rows_of(node, graph.producer, graph.constants)
        read = [rows] if rows else node_inputs(node)
        owners = {owner.get(name, "") for name in read if name not in graph.constants}
        if len(owners) == 1 and "" not in owners and (rows or graph.by_row(node)):
            inside.add(id(node))
            owner.update((name, next(iter(owners))) for name in node.output if name)
    wanted = [name for n in nodes if id(n) not in inside for name in node_inputs(n)] + list(outputs)
    frontier = {name: owner[name] for name in dict.fromkeys(wanted) if name in owner and name not in texts}
    return Cut(frontier)
