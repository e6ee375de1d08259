"""What torch's functions and methods of tensors are in nodes of the ONNX standard (opset 20).

Few operators are enough, so that whoever reads heads has few to know.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from bessemer.package.graph import TENSORS
from bessemer.train.networks import export_shapes as shapes
from bessemer.train.networks.export_step import Step

_DTYPES: Mapping[torch.dtype, str] = {
    torch.float32: "float32",
    torch.float64: "float64",
    torch.int64: "int64",
    torch.bool: "bool",
}


def _binary(op_type: str) -> Callable[[Step], str]:
    def write(s: Step) -> str:
        left, right = s.argument(0, "input"), s.argument(1, "other")
        return s.op(op_type, s.value(left, s.dtype(1)), s.value(right, s.dtype(0)))

    return write


def _unary(op_type: str, **attributes: Any) -> Callable[[Step], str]:
    return lambda s: s.op(op_type, s.x, **attributes)


def _reduce(op_type: str) -> Callable[[Step], str]:
    def write(s: Step) -> str:
        axes, kept = s.argument(1, "dim"), bool(s.argument(2, "keepdim", False))
        return s.op(op_type, s.x, s.axes(axes), keepdims=int(kept))

    return write


def _silu(s: Step) -> str:
    return s.op("Mul", s.x, s.op("Sigmoid", s.x))


def _gelu(s: Step) -> str:
    return s.op("Gelu", s.x, approximate=s.kwargs.get("approximate", "none"))


def _softmax(s: Step) -> str:
    return s.op("Softmax", s.x, axis=s.argument(1, "dim"))


def _clamp(s: Step) -> str:
    like = s.dtype(0)
    bounds = [s.argument(1, "min"), s.argument(2, "max")]
    given = ["" if bound is None else s.value(bound, like) for bound in bounds]
    return s.op("Clip", s.x, *given[: 2 if given[1] else 1])


def _where(s: Step) -> str:
    condition, yes, no = s.args
    return s.op("Where", condition, s.value(yes, s.dtype(2)), s.value(no, s.dtype(1)))


def _differs(s: Step) -> str:
    return s.op("Not", _binary("Equal")(s))


def _convert(s: Step, dtype: torch.dtype) -> str:
    return s.op("Cast", s.x, to=TENSORS[_DTYPES[dtype]])


def _to(s: Step) -> str:
    return _convert(s, s.argument(1, "dtype"))


def _attention(s: Step) -> str:
    """softmax(q k' / sqrt(D) + mask) v for (N, heads, length, D)."""
    query, key, value = (s.args[i] for i in range(3))
    mask, width = s.argument(3, "attn_mask"), s.shape(0)[-1]
    scaled = s.op("Mul", query, s.value(width**-0.5))
    logits = s.op("MatMul", scaled, s.op("Transpose", key, perm=[0, 1, 3, 2]))
    if mask is not None:
        logits = s.op("Add", logits, mask)
    return s.op("MatMul", s.op("Softmax", logits, axis=-1), value)


def _linear_function(s: Step) -> str:
    """`functional.linear` with weights that may be computed."""
    weight, bias = s.argument(1, "weight"), s.argument(2, "bias")
    product = s.op("MatMul", s.x, s.op("Transpose", weight, perm=[1, 0]))
    return s.op("Add", product, bias) if bias is not None else product


def _same(s: Step) -> str:
    return s.x


def _normal(s: Step) -> str:
    """`functional.layer_norm` without weights is a layer with ones and zeros."""
    width = s.shape(0)[-1]
    ones, zeros = np.ones(width, dtype=np.float32), np.zeros(width, dtype=np.float32)
    scale, shift = s.argument(2, "weight"), s.argument(3, "bias")
    return s.op(
        "LayerNormalization",
        s.x,
        s.builder.constant(ones) if scale is None else scale,
        s.builder.constant(zeros) if shift is None else shift,
        axis=-1,
        epsilon=s.argument(4, "eps", 1e-5),
    )


_BOTH: Mapping[str, Callable[[Step], Any]] = {
    "abs": _unary("Abs"),
    "add": _binary("Add"),
    "amax": _reduce("ReduceMax"),
    "clamp": _clamp,
    "cos": _unary("Cos"),
    "div": _binary("Div"),
    "eq": _binary("Equal"),
    "exp": _unary("Exp"),
    "flatten": shapes.flatten,
    "isnan": _unary("IsNaN"),
    "matmul": _binary("MatMul"),
    "mean": _reduce("ReduceMean"),
    "mul": _binary("Mul"),
    "ne": _differs,
    "neg": _unary("Neg"),
    "permute": shapes.permute,
    "pow": _binary("Pow"),
    "relu": _unary("Relu"),
    "reshape": shapes.reshape,
    "sigmoid": _unary("Sigmoid"),
    "sin": _unary("Sin"),
    "softmax": _softmax,
    "sqrt": _unary("Sqrt"),
    "squeeze": shapes.squeeze,
    "sub": _binary("Sub"),
    "sum": _reduce("ReduceSum"),
    "tanh": _unary("Tanh"),
    "transpose": shapes.transpose,
    "unflatten": shapes.unflatten,
    "unsqueeze": shapes.unsqueeze,
}

METHODS: Mapping[str, Callable[[Step], Any]] = {
    **_BOTH,
    "contiguous": _same,
    "float": lambda s: _convert(s, torch.float32),
    "index_select": shapes.index,
    "long": lambda s: _convert(s, torch.int64),
    "to": _to,
    "view": shapes.reshape,
}

FUNCTIONS: Mapping[Any, Callable[[Step], Any]] = {
    **{getattr(torch, name): step for name, step in _BOTH.items()},
    operator.add: _binary("Add"),
    operator.sub: _binary("Sub"),
    operator.mul: _binary("Mul"),
    operator.truediv: _binary("Div"),
    operator.matmul: _binary("MatMul"),
    operator.pow: _binary("Pow"),
    operator.eq: _binary("Equal"),
    operator.ne: _differs,
    operator.neg: _unary("Neg"),
    operator.getitem: shapes.item,
    torch.cat: shapes.cat,
    torch.stack: shapes.stack,
    torch.where: _where,
    torch.index_select: shapes.index,
    torch.zeros_like: shapes.zeros,
    torch.selu: _unary("Selu"),
    functional.gelu: _gelu,
    functional.linear: _linear_function,
    functional.layer_norm: _normal,
    functional.mish: _unary("Mish"),
    functional.pad: shapes.pad,
    functional.relu: _unary("Relu"),
    functional.scaled_dot_product_attention: _attention,
    functional.silu: _silu,
    functional.softmax: _softmax,
    functional.softplus: _unary("Softplus"),
}
