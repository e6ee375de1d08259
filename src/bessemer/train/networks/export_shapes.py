"""What torch's functions of shapes (joining, parting, turning) are in nodes of the ONNX standard (opset 20)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bessemer.train.networks.export_step import Step


def cat(s: Step) -> str:
    return s.op("Concat", *s.argument(0, "tensors"), axis=s.argument(1, "dim", 0))


def stack(s: Step) -> str:
    axis = s.argument(1, "dim", 0)
    return s.op("Concat", *(s.op("Unsqueeze", one, s.axes(axis)) for one in s.args[0]), axis=axis)


def _sizes(s: Step) -> list[int]:
    given = s.args[1:] if len(s.args) > 1 else s.kwargs["shape"]
    return list(given[0]) if isinstance(given[0], Sequence) else list(given)


def reshape(s: Step) -> str:
    return s.op("Reshape", s.x, s.whole(_sizes(s)))


def flatten(s: Step) -> str:
    first, last = s.argument(1, "start_dim", 0), s.argument(2, "end_dim", -1)
    sizes = s.shape(0)
    if first == 1 and last in (-1, len(sizes) - 1):
        return s.op("Flatten", s.x, axis=1)
    made = list(s.shape())
    made[0] = -1 if first == 0 else 0
    return s.op("Reshape", s.x, s.whole(made))


def unflatten(s: Step) -> str:
    axis, sizes = s.argument(1, "dim"), s.argument(2, "sizes")
    before = s.shape(0)[:axis]
    return s.op("Reshape", s.x, s.whole([*([0] * len(before)), *sizes, *s.shape(0)[axis + 1 :]]))


def zeros(s: Step) -> str:
    """`zeros_like`: one zero, which spreads to whatever stands beside it."""
    return s.value(0, s.dtype(0))


def transpose(s: Step) -> str:
    order = list(range(len(s.shape(0))))
    a, b = s.argument(1, "dim0"), s.argument(2, "dim1")
    order[a], order[b] = order[b], order[a]
    return s.op("Transpose", s.x, perm=order)


def permute(s: Step) -> str:
    return s.op("Transpose", s.x, perm=[axis % len(s.shape(0)) for axis in _sizes(s)])


def unsqueeze(s: Step) -> str:
    return s.op("Unsqueeze", s.x, s.axes(s.argument(1, "dim")))


def squeeze(s: Step) -> str:
    return s.op("Squeeze", s.x, s.axes(s.argument(1, "dim")))


def item(s: Step) -> Any:
    """`x[a, b]` of whole numbers, ranges, lists and None; each lasts for one axis."""
    value, keys = s.args
    if not isinstance(value, str):
        return value[keys]
    dropped: list[int] = []
    added: list[int] = []
    axis = 0
    for key in keys if isinstance(keys, tuple) else (keys,):
        if key is None:
            added.append(axis - len(dropped) + len(added))
            continue
        if isinstance(key, slice):
            value = _sliced(s, value, key, axis)
        elif isinstance(key, int):
            value = _sliced(s, value, slice(key, key + 1 or None), axis)
            dropped.append(axis)
        else:
            value = s.op("Gather", value, key if isinstance(key, str) else s.whole(key), axis=axis)
        axis += 1
    if dropped:
        value = s.op("Squeeze", value, s.axes(dropped))
    return s.op("Unsqueeze", value, s.axes(added)) if added else value


def _sliced(s: Step, value: str, part: slice, axis: int) -> str:
    if part == slice(None):
        return value
    start, stop, step = part.start or 0, part.stop, part.step or 1
    end = np.iinfo(np.int64).max if stop is None else stop
    return s.op("Slice", value, s.whole([start]), s.whole([end]), s.whole([axis]), s.whole([step]))


def index(s: Step) -> str:
    return s.op("Gather", s.x, s.argument(2, "index"), axis=s.argument(1, "dim"))


def pad(s: Step) -> str:
    sizes, value = list(s.argument(1, "pad")), s.argument(3, "value", 0.0)
    before, after = sizes[0::2][::-1], sizes[1::2][::-1]
    none = [0] * (len(s.shape(0)) - len(before))
    pads = s.whole([*none, *before, *none, *after])
    return s.op("Pad", s.x, pads, s.value(float(value or 0.0)))
