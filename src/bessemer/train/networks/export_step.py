"""One step of a trace, as the tables of `export_layers.py` and `export_functions.py` get it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import fx

from bessemer.package.graph import GraphBuilder


@dataclass(frozen=True)
class Step:
    """One step of a trace.

    args, kwargs: as torch gets them, with names of the graph's values in place of tensors.
    """

    builder: GraphBuilder
    node: fx.Node
    args: Sequence[Any]
    kwargs: Mapping[str, Any]

    def argument(self, place: int, name: str, default: Any = None) -> Any:
        """An argument by its place or its name."""
        return self.args[place] if len(self.args) > place else self.kwargs.get(name, default)

    @property
    def x(self) -> str:
        return self.value(self.argument(0, "input"))

    def shape(self, place: int | None = None) -> tuple[int, ...]:
        """The shape of the result, or of an argument; axis 0 has any size."""
        node = self.node if place is None else self.node.args[place]
        assert isinstance(node, fx.Node)
        return tuple(node.meta["tensor_meta"].shape)

    def value(self, argument: Any, like: torch.dtype = torch.float32) -> str:
        """The name of a value; a number becomes a constant."""
        if isinstance(argument, str):
            return argument
        return self.builder.constant(np.asarray(argument, dtype=str(like).removeprefix("torch.")))

    def axes(self, axes: int | Sequence[int]) -> str:
        return self.whole(axes if isinstance(axes, Sequence) else [axes])

    def whole(self, numbers: Sequence[int]) -> str:
        return self.builder.constant(np.asarray(list(numbers), dtype=np.int64))

    def tensor(self, value: torch.Tensor) -> str:
        return self.builder.constant(value.detach().cpu().numpy())

    def op(self, op_type: str, *inputs: str, **attributes: Any) -> str:
        return self.builder.op(op_type, list(inputs), **attributes)

    def dtype(self, place: int) -> torch.dtype:
        """The element type that a number beside this argument has."""
        node = self.node.args[place] if len(self.node.args) > place else None
        meta = node.meta.get("tensor_meta") if isinstance(node, fx.Node) else None
        return meta.dtype if meta is not None else torch.float32
