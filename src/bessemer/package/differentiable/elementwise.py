"""Operators that look at one number at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from bessemer.package.differentiable.node import FLOATS, INTEGERS, Node, unknown

Operator = Callable[..., Any]


def _plain(f: Callable[..., Tensor]) -> Operator:
    """An operator that has no attributes."""
    return lambda node, *values: f(*values)


def _folded(f: Callable[[Tensor, Tensor], Tensor]) -> Operator:
    """An operator of one value or more."""
    return lambda node, *values: reduce(f, values)


def _divide(node: Node, a: Tensor, b: Tensor) -> Tensor:
    return a / b if a.is_floating_point() else torch.div(a, b, rounding_mode="trunc")


def _clip(node: Node, x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    """The gradient at a bound itself is that of the inside, as torch has it; NaN stays."""
    return x if low is None and high is None else torch.clamp(x, low, high)


def _cast(node: Node, x: Tensor) -> Tensor:
    to = node.get("to")
    if to in FLOATS:
        return x.to(node.dtype)
    if to not in INTEGERS:
        raise unknown(f"a Cast to element type {to}")
    return x.to(INTEGERS[to])


def _stepped(f: Callable[[Tensor], Tensor]) -> Operator:
    """A staircase. Its true gradient is 0 and would hide all that is before it from whoever attacks or explains, so it
    is taken to be 1 (backward pass differentiable approximation; Athalye, Carlini and Wagner 2018); of what is not
    finite it is 0."""
    return lambda node, x: f(x).detach() + (x - x.detach()).nan_to_num()


def _mod(node: Node, a: Tensor, b: Tensor) -> Tensor:
    return torch.fmod(a, b) if node.get("fmod", 0) else torch.remainder(a, b)


def _gelu(node: Node, x: Tensor) -> Tensor:
    return functional.gelu(x, approximate=node.only("approximate", "none", "tanh"))


def _hard_sigmoid(node: Node, x: Tensor) -> Tensor:
    return torch.clamp(node.get("alpha", 0.2) * x + node.get("beta", 0.5), 0, 1)


def _selu(node: Node, x: Tensor) -> Tensor:
    alpha, gamma = node.get("alpha", 1.6732632423543772), node.get("gamma", 1.0507009873554805)
    return gamma * (torch.clamp(x, min=0) + alpha * torch.expm1(torch.clamp(x, max=0)))


ELEMENTWISE: Mapping[str, Operator] = {
    "Abs": _plain(torch.abs),
    "Add": _plain(torch.add),
    "And": _plain(torch.logical_and),
    "Cast": _cast,
    "Ceil": _stepped(torch.ceil),
    "Clip": _clip,
    "Cos": _plain(torch.cos),
    "Div": _divide,
    "Elu": lambda node, x: functional.elu(x, node.get("alpha", 1.0)),
    "Equal": _plain(torch.eq),
    "Erf": _plain(torch.erf),
    "Exp": _plain(torch.exp),
    "Floor": _stepped(torch.floor),
    "Gelu": _gelu,
    "Greater": _plain(torch.gt),
    "GreaterOrEqual": _plain(torch.ge),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _plain(functional.hardswish),
    "Identity": _plain(lambda x: x),
    "IsInf": _plain(torch.isinf),
    "IsNaN": _plain(torch.isnan),
    "LeakyRelu": lambda node, x: functional.leaky_relu(x, node.get("alpha", 0.01)),
    "Less": _plain(torch.lt),
    "LessOrEqual": _plain(torch.le),
    "Log": _plain(torch.log),
    "Max": _folded(torch.maximum),
    "Mean": lambda node, *values: reduce(torch.add, values) / len(values),
    "Min": _folded(torch.minimum),
    "Mish": _plain(functional.mish),
    "Mod": _mod,
    "Mul": _plain(torch.mul),
    "Neg": _plain(torch.neg),
    "Not": _plain(torch.logical_not),
    "Or": _plain(torch.logical_or),
    "PRelu": _plain(lambda x, slope: torch.where(x < 0, slope * x, x)),
    "Pow": _plain(torch.pow),
    "Reciprocal": _plain(torch.reciprocal),
    "Relu": _plain(torch.relu),
    "Round": _stepped(torch.round),
    "Selu": _selu,
    "Sigmoid": _plain(torch.sigmoid),
    "Sign": _stepped(torch.sign),
    "Sin": _plain(torch.sin),
    "Softplus": _plain(functional.softplus),
    "Softsign": _plain(functional.softsign),
    "Sqrt": _plain(torch.sqrt),
    "Sub": _plain(torch.sub),
    "Sum": _folded(torch.add),
    "Tanh": _plain(torch.tanh),
    "Where": _plain(torch.where),
}
