"""Operators that multiply matrices, convolve, pool, normalise and reduce."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from bessemer.package.differentiable.node import Node, unknown


def _gemm(node: Node, a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
    a, b = (a.t() if node.get("transA", 0) else a), (b.t() if node.get("transB", 0) else b)
    product = _times(node.get("alpha", 1.0), a @ b)
    return product if c is None else product + _times(node.get("beta", 1.0), c)


def _times(factor: float, x: Tensor) -> Tensor:
    return x if factor == 1 else factor * x


def _window(node: Node, sizes: Sequence[int], x: Tensor) -> tuple[list[int], list[int], list[int]]:
    """Strides, dilations, and the padding as `functional.pad` takes it."""
    n = len(sizes)
    strides, dilations = node.get("strides", [1] * n), node.get("dilations", [1] * n)
    auto = node.only("auto_pad", "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER")
    pads = node.get("pads", [0] * 2 * n) if auto == "NOTSET" else [0] * 2 * n
    if auto.startswith("SAME"):
        for i, size in enumerate(x.shape[2:]):
            reach = (sizes[i] - 1) * dilations[i] + 1
            whole = max(0, (-(-size // strides[i]) - 1) * strides[i] + reach - size)
            small = whole // 2
            pads[i], pads[n + i] = (small, whole - small) if auto == "SAME_UPPER" else (whole - small, small)
    return strides, dilations, [pads[i + side * n] for i in reversed(range(n)) for side in (0, 1)]


def _conv(node: Node, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    strides, dilations, pads = _window(node, weight.shape[2:], x)
    if x.ndim not in (3, 4):
        raise unknown(f"a Conv over {x.ndim - 2} dimensions")
    convolve = functional.conv1d if x.ndim == 3 else functional.conv2d
    return convolve(functional.pad(x, pads), weight, bias, strides, 0, dilations, node.get("group", 1))


def _max_pool(node: Node, x: Tensor) -> Tensor:
    if node.outputs > 1 or x.ndim not in (3, 4):
        raise unknown("a MaxPool that gives indices, or over three dimensions")
    sizes = node.get("kernel_shape")
    strides, dilations, pads = _window(node, sizes, x)
    pool = functional.max_pool1d if x.ndim == 3 else functional.max_pool2d
    padded = functional.pad(x, pads, value=-torch.inf)
    return pool(padded, sizes, strides, 0, dilations, bool(node.get("ceil_mode", 0)))


def _average_pool(node: Node, x: Tensor) -> Tensor:
    sizes, n = node.get("kernel_shape"), x.ndim - 2
    if n not in (1, 2) or node.get("ceil_mode", 0) or any(d != 1 for d in node.get("dilations", [1])):
        raise unknown("an AveragePool that rounds up, is dilated or over three dimensions")
    strides, _, pads = _window(node, sizes, x)
    pool = functional.avg_pool1d if n == 1 else functional.avg_pool2d
    mean = pool(functional.pad(x, pads), sizes, strides)
    if node.get("count_include_pad", 0) or not any(pads):
        return mean
    return mean / pool(functional.pad(torch.ones_like(x[:1]), pads), sizes, strides)


def _over_space(f: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda node, x: f(x, dim=tuple(range(2, x.ndim)), keepdim=True)


def _batch_norm(node: Node, x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, spread: Tensor) -> Tensor:
    node.only("training_mode", 0)
    return functional.batch_norm(x, mean, spread, scale, bias, False, 0.0, node.get("epsilon", 1e-5))


def _layer_norm(node: Node, x: Tensor, scale: Tensor, bias: Tensor | None = None) -> Tensor:
    axis = node.get("axis", -1) % x.ndim
    return functional.layer_norm(
        x,
        x.shape[axis:],
        scale.expand(x.shape[axis:]),
        None if bias is None else bias.expand(x.shape[axis:]),
        node.get("epsilon", 1e-5),
    )


def _group_norm(node: Node, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """Of operator set 18 a scale is a group's, of 21 a channel's."""
    groups = node.get("num_groups")
    if len(scale) == groups != x.shape[1]:
        scale, bias = (v.repeat_interleave(x.shape[1] // groups) for v in (scale, bias))
    return functional.group_norm(x, groups, scale, bias, node.get("epsilon", 1e-5))


def _instance_norm(node: Node, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    return functional.instance_norm(x, weight=scale, bias=bias, eps=node.get("epsilon", 1e-5))


def _lp_norm(node: Node, x: Tensor) -> Tensor:
    """A row of zeros stays one, where torch would divide by it."""
    axis, p = node.get("axis", -1), node.only("p", 2, 1)
    length = torch.linalg.vector_norm(x, p, dim=axis, keepdim=True)
    return torch.where(length > 0, x / torch.where(length > 0, length, torch.ones_like(length)), x)


def _reduced(f: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A reduction over `axes`: an input since opset 18, an attribute before."""

    def operator(node: Node, x: Tensor, axes: Tensor | None = None) -> Tensor:
        given = axes.tolist() if axes is not None else node.get("axes", [])
        if not given and node.get("noop_with_empty_axes", 0):
            return x
        dims = tuple(given) or tuple(range(x.ndim))
        return f(x, dim=dims, keepdim=bool(node.get("keepdims", 1)))

    return operator


def _length(x: Tensor, dim: tuple[int, ...], keepdim: bool) -> Tensor:
    return torch.linalg.vector_norm(x, 2, dim=dim, keepdim=keepdim)


def _best(f: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def operator(node: Node, x: Tensor) -> Tensor:
        return f(x, dim=node.get("axis", 0), keepdim=bool(node.get("keepdims", 1)))

    return operator


def _einsum(node: Node, *values: Tensor) -> Any:
    return torch.einsum(node.get("equation"), *values)


LAYERS: Mapping[str, Callable[..., Any]] = {
    "ArgMax": _best(torch.argmax),
    "ArgMin": _best(torch.argmin),
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_norm,
    "Conv": _conv,
    "Dropout": lambda node, x, *_: x,
    "Einsum": _einsum,
    "Gemm": _gemm,
    "GlobalAveragePool": _over_space(torch.mean),
    "GlobalMaxPool": _over_space(torch.amax),
    "GroupNormalization": _group_norm,
    "InstanceNormalization": _instance_norm,
    "LayerNormalization": _layer_norm,
    "LogSoftmax": lambda node, x: functional.log_softmax(x, node.get("axis", -1)),
    "LpNormalization": _lp_norm,
    "MatMul": lambda node, a, b: a @ b,
    "MaxPool": _max_pool,
    "ReduceL2": _reduced(_length),
    "ReduceLogSumExp": _reduced(torch.logsumexp),
    "ReduceMax": _reduced(torch.amax),
    "ReduceMean": _reduced(torch.mean),
    "ReduceMin": _reduced(torch.amin),
    "ReduceSum": _reduced(torch.sum),
    "ReduceSumSquare": _reduced(lambda x, dim, keepdim: torch.sum(x * x, dim=dim, keepdim=keepdim)),
    "Softmax": lambda node, x: functional.softmax(x, node.get("axis", -1)),
}
