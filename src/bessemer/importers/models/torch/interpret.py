"""A graph of TorchScript run operator by operator, so that torch.export can record what it does: that takes no
TorchScript, and the exporter that does is to be removed from torch."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch

from bessemer.importers.models.torch.operators import allowed

_Values = dict[str, Any]

#: Python's operators by the names that torch has for them.
_ARITHMETIC = ("add", "sub", "mul", "floordiv", "neg", "eq", "ne", "lt", "le", "gt", "ge")
#: What operators do with numbers that are in no tensor: sizes, mostly, which may stand for any.
_NUMBERS: Mapping[str, Callable[..., Any]] = {
    **{name: getattr(operator, name) for name in _ARITHMETIC},
    "div": operator.truediv,
    "floor_divide": operator.floordiv,
    "remainder": operator.mod,
    "rsub": lambda a, b, alpha=1: b - a * alpha,
    "Int": lambda value: value,
    "IntImplicit": lambda value: value,
    "ScalarImplicit": lambda value: value,
    "FloatImplicit": lambda value: value,
    "Float": float,
    "Bool": bool,
    "__not__": operator.not_,
    "__is__": operator.is_,
    "__isnot__": operator.is_not,
    "format": str.format,
    "warn": lambda *words: None,
}  # fmt: skip
#: What they do with lists.
_LISTS: Mapping[str, Callable[..., Any]] = {
    "__contains__": operator.contains,
    "__getitem__": operator.getitem,
    "add": operator.add,
    "append": lambda values, one: values.append(one) or values,
    "len": len,
    "slice": lambda values, start, end, step: values[slice(start, end, step)],
}
#: The same of a tensor, where torch's own operator would make a plain number of a size.
_OF_TENSOR: Mapping[str, Callable[..., Any]] = {
    "size": lambda x, *axis: x.size(*axis),
    "dim": lambda x: x.dim(),
    "numel": lambda x: x.numel(),
    "__is__": operator.is_,
    "__isnot__": operator.is_not,
}
_PRIM: Mapping[str, Callable[..., Any]] = {
    "ListConstruct": lambda *values: list(values),
    "TupleConstruct": lambda *values: values,
    "NumToTensor": lambda value: value,
    "Uninitialized": lambda: None,
    "data": lambda x: x,
    "TupleIndex": operator.getitem,
    "unchecked_cast": lambda value: value,
    "unchecked_unwrap_optional": lambda value: value,
    "dtype": lambda x: x.dtype,
    "device": lambda x: x.device,
    "layout": lambda x: x.layout,
    "shape": lambda x: list(x.shape),
    "min": min,
    "max": max,
}


#: Calls that torch could not put what they call in place of.
_CALLS = ("prim::CallMethod", "prim::CallFunction")


class Interpreted(torch.nn.Module):  # type: ignore[misc]
    """A frozen graph as a module of Python."""

    def __init__(self, graph: Any) -> None:
        super().__init__()
        self._graph = graph
        self._names = [value.debugName() for value in graph.inputs()][1:]  # the first is the module

    def forward(self, *given: torch.Tensor) -> Any:
        values: _Values = dict(zip(self._names, given, strict=True))
        _run(self._graph, values)
        (said,) = (values[value.debugName()] for value in self._graph.outputs())
        return said


def nodes_of(graph: Any) -> Iterator[Any]:
    """Every node of a graph, those in branches among them."""
    for node in graph.nodes():
        yield node
        for block in node.blocks():
            yield from nodes_of(block)


def check_operators(graph: Any) -> None:
    """Look at all operators of a graph before one of them is run.

    Raises:
        ValueError: one is not on the list, or calls what stands elsewhere.
    """
    for node in nodes_of(graph):
        if node.kind() in _CALLS:
            raise ValueError(
                f"it has a {node.kind()}, as through an interface: what that does cannot be seen before"
            )
        if not allowed(node.kind()):
            raise ValueError(
                f"it has the operator '{node.kind()}', which is not on the list of those that only compute"
            )


def _run(block: Any, values: _Values) -> None:
    for node in block.nodes():
        outputs = [value.debugName() for value in node.outputs()]
        found = _value(node, [value.debugName() for value in node.inputs()], values)
        if len(outputs) == 1:
            values[outputs[0]] = found
        else:
            values.update(zip(outputs, found or (), strict=True))


def _value(node: Any, names: list[str], values: _Values) -> Any:
    space, _, name = node.kind().partition("::")
    if name == "Constant":
        return node.output().toIValue()
    if name == "If":
        return _branch(node, bool(values[names[0]]), values)
    given = [values[one] for one in names]
    if name in ("ListUnpack", "TupleUnpack"):
        found = list(given[0])
        return found[0] if len(found) == 1 else found
    if space == "prim":
        if name not in _PRIM:
            raise ValueError(f"the operator '{node.kind()}' of TorchScript is not understood")
        return _PRIM[name](*given)
    return _called(node, name, given)


def _branch(node: Any, way: bool, values: _Values) -> Any:
    block = list(node.blocks())[0 if way else 1]
    _run(block, values)
    found = [values[value.debugName()] for value in block.outputs()]
    return found[0] if len(found) == 1 else found


def _called(node: Any, name: str, given: list[Any]) -> Any:
    table = _NUMBERS
    if given and isinstance(given[0], list):
        table = _LISTS
    elif any(isinstance(one, torch.Tensor) for one in given):
        table = _OF_TENSOR
    if name in table:
        if name in ("add", "sub") and len(given) == 3:  # of traced sizes: a, b, alpha
            given = [given[0], given[1] * given[2]]
        return table[name](*given)
    if name == "_convolution":  # what is recorded has settings of the GPU behind those of `convolution`
        return torch.ops.aten.convolution.default(*given[:9])
    schema = node.schema()
    overload = schema.partition("(")[0].partition("::")[2].partition(".")[2] or "default"
    function = getattr(getattr(torch.ops.aten, name), overload)
    taken = [argument.name for argument in function._schema.arguments if argument.kwarg_only]
    plain = len(function._schema.arguments) - len(taken)
    return function(*given[:plain], **dict(zip(taken, given[plain:], strict=False)))
