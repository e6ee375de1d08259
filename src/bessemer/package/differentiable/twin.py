"""The interpreter: a graph's nodes, one after the other, as torch computes them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from bessemer.core.errors import FormatError
from bessemer.package.cut import extract, value_info
from bessemer.package.differentiable.elementwise import ELEMENTWISE
from bessemer.package.differentiable.layers import LAYERS
from bessemer.package.differentiable.node import Node, read_node, tensor_of, unknown
from bessemer.package.differentiable.shapes import SHAPES
from bessemer.package.onnx_format import FLOAT, parse

#: What a head, and the second half of a package's graph, is computed from.
FEATURES = "features"

#: The oldest version of ONNX's operators that is understood.
OLDEST = 13

#: Is shown a node, and the values that it is given; None for one that is left out.
Watch = Callable[[Node, list[Tensor | None]], None]

OPERATORS: Mapping[str, Callable[..., Any]] = {**ELEMENTWISE, **LAYERS, **SHAPES}


def twin(model: bytes, output: str = "score", dtype: torch.dtype = torch.float32) -> Twin:
    """What a graph computes from `features`, as a torch module.

    Args:
        model: a head (`features` -> `score`), or the whole graph of a package, of which the half behind `features` is
            taken.
        output: the value that is wanted.
        dtype: of all floats; float64 where gradients of a steep graph are wanted.

    Raises:
        FormatError: it cannot be computed from `features` alone, or an operator has no gradient; it is named.
    """
    whole = parse(model)
    _check_version(whole)
    part = extract(whole, [value_info(whole, FEATURES, FLOAT, ["N", None])], [output])
    constants = {t.name: tensor_of(t, dtype) for t in part.graph.initializer}
    known = {FEATURES, "", *constants, *(name for node in part.graph.node for name in node.output)}
    if missing := sorted({name for node in part.graph.node for name in node.input} - known):
        raise FormatError(f"the graph's '{output}' needs '{missing[0]}' beside '{FEATURES}'")
    steps = [_Step(node, dtype) for node in part.graph.node]
    for name, found in constants.items():
        if found is None:
            raise unknown(f"a constant '{name}' that is no number")
    return Twin(steps, {name: found for name, found in constants.items() if found is not None}, output)


def _check_version(model: Any) -> None:
    """Before 13 some operators had attributes where they have inputs now, and Softmax meant something else."""
    found = max((one.version for one in model.opset_import if one.domain in ("", "ai.onnx")), default=0)
    if found < OLDEST:
        raise unknown(f"operators of ONNX's set {found}, older than {OLDEST}")


class _Step:
    """A node: what it computes, from which values and into which."""

    def __init__(self, node: Any, dtype: torch.dtype) -> None:
        if node.domain not in ("", "ai.onnx") or node.op_type not in OPERATORS:
            raise unknown(f"the operator {node.op_type}")
        self.node: Node = read_node(node, dtype)
        self.takes, self.gives = list(node.input), list(node.output)
        self._compute = OPERATORS[node.op_type]

    def run(self, values: dict[str, Tensor]) -> None:
        found = self._compute(self.node, *(values[name] if name else None for name in self.takes))
        made: Sequence[Tensor] = found if isinstance(found, tuple) else (found,)
        values.update(zip(self.gives, made, strict=False))


class Twin(nn.Module):  # type: ignore[misc]
    """(N, F) floats, NaN is missing -> what the graph gives of them, with gradients.

    Constants are buffers, so the module can be moved but not trained.
    """

    def __init__(self, steps: Sequence[_Step], constants: Mapping[str, Tensor], output: str) -> None:
        super().__init__()
        self._steps, self._output = list(steps), output
        self._names = {name: f"constant_{i}" for i, name in enumerate(constants)}
        for name, value in constants.items():
            self.register_buffer(self._names[name], value, persistent=False)
        self._last = _last_uses(self._steps)

    @property
    def operators(self) -> Counter[str]:
        """How often each operator stands in the graph."""
        return Counter(step.node.kind for step in self._steps)

    def constants(self) -> dict[str, Tensor]:
        """The graph's constants by their names, its weights among them."""
        return {name: getattr(self, place) for name, place in self._names.items()}

    def forward(self, x: Tensor, watch: Watch | None = None) -> Tensor:
        """The graph's value; `watch` is shown each node and what it is given, before it runs."""
        values: dict[str, Tensor] = {name: getattr(self, place) for name, place in self._names.items()}
        values[FEATURES] = x
        for i, step in enumerate(self._steps):
            if watch is not None:
                watch(step.node, [values.get(name) for name in step.takes])
            step.run(values)
            for name in self._last.get(i, ()):
                if name != self._output:
                    values.pop(name, None)
        return values[self._output]


def _last_uses(steps: Sequence[_Step]) -> dict[int, list[str]]:
    """By the place of a step, the values that nobody needs behind it: they are let go."""
    last = {name: i for i, step in enumerate(steps) for name in step.takes if name}
    found: dict[int, list[str]] = {}
    for name, i in last.items():
        found.setdefault(i, []).append(name)
    return found
