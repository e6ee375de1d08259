"""The interpreter: a graph's nodes, one after the other, as torch computes them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
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

#: Inputs, by their places, that say where or how much.
FIXED: Mapping[str, tuple[int, ...]] = {
    "ConstantOfShape": (0,),
    "Expand": (1,),
    "OneHot": (1,),
    "Pad": (1, 2, 3),
    "Reshape": (1,),
    "Slice": (1, 2, 3, 4),
    "Split": (1,),
    "Squeeze": (1,),
    "Tile": (1,),
    "Unsqueeze": (1,),
    **{kind: (1,) for kind in LAYERS if kind.startswith("Reduce")},
}


def twin(model: bytes, output: str = "score", dtype: torch.dtype = torch.float32) -> Twin:
    """What a graph computes from `features`, as a torch module with gradients.

    Args:
        model: a head (`features` -> `score`), or the whole graph of a package, of which the half behind `features` is
            taken.
        output: the value that is wanted.
        dtype: of all floats; float64 where gradients of a steep graph are wanted.

    Raises:
        FormatError: it cannot be computed from `features` alone, or an operator has no gradient; it is named.
    """
    return Twin(*_read(model, FEATURES, [output], dtype), [output], FEATURES)


def recordable(model: bytes, start: str, outputs: Sequence[str]) -> Values:
    """What a graph computes from one of its values, as a module that `torch.jit.trace` and `torch.export` record.

    Args:
        start: a value (N, F) float32 of the graph, or its input.
        outputs: the values that are wanted.

    Raises:
        FormatError: they cannot be computed from `start` alone, or an operator is not known; it is named.
    """
    return Values(*_read(model, start, outputs, torch.float32), outputs, start)


def _read(
    model: bytes, start: str, outputs: Sequence[str], dtype: torch.dtype
) -> tuple[list[_Step], dict[str, Tensor]]:
    whole = parse(model)
    _check_version(whole)
    part = extract(whole, [value_info(whole, start, FLOAT, ["N", None])], outputs)
    constants = {t.name: tensor_of(t, dtype) for t in part.graph.initializer}
    known = {start, "", *constants, *(name for node in part.graph.node for name in node.output)}
    if missing := sorted({name for node in part.graph.node for name in node.input} - known):
        raise FormatError(f"the graph's '{outputs[0]}' needs '{missing[0]}' beside '{start}'")
    steps = [_Step(node, dtype, constants) for node in part.graph.node]
    for name, found in constants.items():
        if found is None:
            raise unknown(f"a constant '{name}' that is no number")
    return steps, {name: found for name, found in constants.items() if found is not None}


def _check_version(model: Any) -> None:
    """Before 13 some operators had attributes where they have inputs now, and Softmax meant something else."""
    found = max((one.version for one in model.opset_import if one.domain in ("", "ai.onnx")), default=0)
    if found < OLDEST:
        raise unknown(f"operators of ONNX's set {found}, older than {OLDEST}")


class _Step:
    """A node: what it computes, from which values and into which."""

    def __init__(self, node: Any, dtype: torch.dtype, constants: Mapping[str, Tensor | None]) -> None:
        if node.domain not in ("", "ai.onnx") or node.op_type not in OPERATORS:
            raise unknown(f"the operator {node.op_type}")
        self.node: Node = read_node(node, dtype)
        self.takes, self.gives = list(node.input), list(node.output)
        self._compute = OPERATORS[node.op_type]
        self._fixed = _fixed(node, constants)

    def run(self, values: dict[str, Tensor]) -> None:
        given = (values[name] if name else None for name in self.takes)
        found = self._compute(self.node, *(self._fixed.get(i, value) for i, value in enumerate(given)))
        made: Sequence[Tensor] = found if isinstance(found, tuple) else (found,)
        values.update(zip(self.gives, made, strict=False))


def _fixed(node: Any, constants: Mapping[str, Tensor | None]) -> dict[int, np.ndarray]:
    """By its place among the inputs, a constant that says where or how much: an array, since torch cannot read the
    numbers of a tensor while it records."""
    found = {i: constants.get(name) for i, name in enumerate(node.input) if i in FIXED.get(node.op_type, ())}
    return {i: value.numpy() for i, value in found.items() if value is not None}


class _Graph(nn.Module):  # type: ignore[misc]
    """Constants are buffers, so the module can be moved but not trained."""

    def __init__(
        self, steps: Sequence[_Step], constants: Mapping[str, Tensor], outputs: Sequence[str], start: str
    ) -> None:
        super().__init__()
        self._steps, self._outputs, self._start = list(steps), list(outputs), start
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

    def _computed(self, x: Tensor, watch: Watch | None = None) -> tuple[Tensor, ...]:
        values: dict[str, Tensor] = {name: getattr(self, place) for name, place in self._names.items()}
        values[self._start] = x
        for i, step in enumerate(self._steps):
            if watch is not None:
                watch(step.node, [values.get(name) for name in step.takes])
            step.run(values)
            for name in self._last.get(i, ()):
                if name not in self._outputs:
                    values.pop(name, None)
        return tuple(values[name] for name in self._outputs)


class Twin(_Graph):
    """(N, F) floats, NaN is missing -> what the graph gives of them, with gradients."""

    def forward(self, x: Tensor, watch: Watch | None = None) -> Tensor:
        """The graph's value; `watch` is shown each node and what it is given, before it runs."""
        return self._computed(x, watch)[0]


class Values(_Graph):
    """(N, F) float32 -> all values that are wanted, in their order."""

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return self._computed(x)


def _last_uses(steps: Sequence[_Step]) -> dict[int, list[str]]:
    """By the place of a step, the values that nobody needs behind it: they are let go."""
    last = {name: i for i, step in enumerate(steps) for name in step.takes if name}
    found: dict[int, list[str]] = {}
    for name, i in last.items():
        found.setdefault(i, []).append(name)
    return found
