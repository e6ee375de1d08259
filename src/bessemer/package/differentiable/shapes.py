"""Operators that move numbers about and make constants."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from bessemer.package.differentiable.node import Node, unknown


def _reshape(node: Node, x: Tensor, shape: Tensor) -> Tensor:
    wanted = shape.tolist()
    if not node.get("allowzero", 0):
        wanted = [x.shape[i] if size == 0 else size for i, size in enumerate(wanted)]
    return x.reshape(wanted)


def _flatten(node: Node, x: Tensor) -> Tensor:
    axis = node.get("axis", 1)
    if axis == 0:
        return x.reshape(1, -1)
    return x.flatten(axis).flatten(0, axis - 1)


def _transpose(node: Node, x: Tensor) -> Tensor:
    return x.permute(node.get("perm") or list(reversed(range(x.ndim))))


def _squeeze(node: Node, x: Tensor, axes: Tensor | None = None) -> Tensor:
    return x.squeeze() if axes is None else x.squeeze(tuple(axes.tolist()))


def _unsqueeze(node: Node, x: Tensor, axes: Tensor) -> Tensor:
    whole = x.ndim + len(axes)
    for axis in sorted(a % whole for a in axes.tolist()):
        x = x.unsqueeze(axis)
    return x


def _split(node: Node, x: Tensor, sizes: Tensor | None = None) -> tuple[Tensor, ...]:
    axis = node.get("axis", 0)
    if sizes is not None:
        return tuple(torch.split(x, sizes.tolist(), dim=axis))
    parts = node.get("num_outputs", node.outputs)
    return tuple(torch.split(x, -(-x.shape[axis] // parts), dim=axis))


def _slice(
    node: Node,
    x: Tensor,
    starts: Tensor,
    ends: Tensor,
    axes: Tensor | None = None,
    steps: Tensor | None = None,
) -> Tensor:
    which = axes.tolist() if axes is not None else range(len(starts))
    each = steps.tolist() if steps is not None else [1] * len(starts)
    for axis, start, end, step in zip(which, starts.tolist(), ends.tolist(), each, strict=True):
        if step > 0:
            x = x[(slice(None),) * (axis % x.ndim) + (slice(start, end, step),)]
            continue
        places = range(*slice(start, end, step).indices(x.shape[axis]))
        x = x.index_select(axis, torch.tensor(list(places), dtype=torch.int64))
    return x


def _gather(node: Node, x: Tensor, indices: Tensor) -> Tensor:
    axis = node.get("axis", 0) % x.ndim
    places = torch.where(indices < 0, indices + x.shape[axis], indices).long()
    found = x.index_select(axis, places.reshape(-1))
    return found.reshape([*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]])


def _gather_elements(node: Node, x: Tensor, indices: Tensor) -> Tensor:
    axis = node.get("axis", 0)
    return x.gather(axis, torch.where(indices < 0, indices + x.shape[axis], indices).long())


def _expand(node: Node, x: Tensor, shape: Tensor) -> Tensor:
    return x.expand(torch.broadcast_shapes(x.shape, shape.tolist()))


def _pad(
    node: Node, x: Tensor, pads: Tensor, value: Tensor | None = None, axes: Tensor | None = None
) -> Tensor:
    mode = node.only("mode", "constant", "reflect", "edge")
    sizes, which = pads.tolist(), axes.tolist() if axes is not None else list(range(x.ndim))
    around = [[0, 0] for _ in range(x.ndim)]
    for i, axis in enumerate(which):
        around[axis] = [sizes[i], sizes[i + len(which)]]
    flat = [size for pair in reversed(around) for size in pair]
    if mode == "constant":
        return functional.pad(x, flat, value=0 if value is None else float(value))
    if any(flat[2 * (x.ndim - 2) :]):
        raise unknown(f"a Pad of rows or channels by {mode}")
    return functional.pad(x, flat[: 2 * (x.ndim - 2)], mode={"edge": "replicate"}.get(mode, mode))


def _shape(node: Node, x: Tensor) -> Tensor:
    return torch.tensor(list(x.shape)[node.get("start", 0) : node.get("end")], dtype=torch.int64)


def _constant(node: Node) -> Tensor:
    for name, dtype in (("value_float", node.dtype), ("value_int", torch.int64)):
        for key in (name, f"{name}s"):
            if key in node.given:
                return torch.tensor(node.get(key), dtype=dtype)
    found = node.get("value")
    if found is None:
        raise unknown("a Constant that is no number")
    tensor: Tensor = found
    return tensor


def _constant_of_shape(node: Node, shape: Tensor) -> Tensor:
    value = node.get("value")
    filled = torch.zeros(1, dtype=node.dtype) if value is None else value
    return filled.reshape(()).expand(shape.tolist())


def _one_hot(node: Node, indices: Tensor, depth: Tensor, values: Tensor) -> Tensor:
    axis, size = node.get("axis", -1), int(depth.reshape(-1)[0])
    hot = functional.one_hot(indices.long() % size, size).bool()
    return torch.where(hot, values[1], values[0]).movedim(-1, axis)


def _trilu(node: Node, x: Tensor, diagonal: Tensor | None = None) -> Tensor:
    k = 0 if diagonal is None else int(diagonal)
    return torch.triu(x, k) if node.get("upper", 1) else torch.tril(x, k)


def _resize(node: Node, x: Tensor, roi: Any = None, scales: Any = None, sizes: Any = None) -> Tensor:
    """Images (N, C, H, W) by the nearest pixel or between two, as torch samples them."""
    mode = node.only("mode", "nearest", "linear")
    how = node.get("coordinate_transformation_mode", "half_pixel")
    if sizes is None:
        sizes = torch.floor(torch.tensor(x.shape) * scales.float()).long()
    wanted = sizes.tolist()
    if x.ndim != 4 or wanted[:2] != list(x.shape[:2]) or node.get("antialias", 0):
        raise unknown("a Resize of more than images, or an antialiased one")
    if mode == "nearest":
        rounding = node.get("nearest_mode", "round_prefer_floor")
        if (how, rounding) == ("asymmetric", "floor"):
            return functional.interpolate(x, wanted[2:], mode="nearest")
        raise unknown(f"a Resize to the nearest pixel by {how} and {rounding}")
    if how not in ("half_pixel", "align_corners", "pytorch_half_pixel"):
        raise unknown(f"a linear Resize by {how}")
    return functional.interpolate(x, wanted[2:], mode="bilinear", align_corners=how == "align_corners")


SHAPES: Mapping[str, Callable[..., Any]] = {
    "Concat": lambda node, *values: torch.cat(values, dim=node.get("axis")),
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "OneHot": _one_hot,
    "Pad": _pad,
    "Range": lambda node, start, stop, step: torch.arange(start.item(), stop.item(), step.item()),
    "Reshape": _reshape,
    "Resize": _resize,
    "Shape": _shape,
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _squeeze,
    "Tile": lambda node, x, times: x.repeat(times.tolist()),
    "Transpose": _transpose,
    "Trilu": _trilu,
    "Unsqueeze": _unsqueeze,
}
