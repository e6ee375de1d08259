"""Reads `architecture.json` and `weights.safetensors`, and computes what they say. It needs NumPy and safetensors.

    from layers_numpy import Layers
    score, probability = Layers.load(".")(encoded)

A layer is an operator of ONNX (https://onnx.ai/onnx/operators/, set 21) on earlier layers and tensors, by name.
"""

import json
import math
from pathlib import Path

import numpy as np


class Layers:
    """A network. told: `architecture.json`. tensors: by name."""

    def __init__(self, told, tensors):
        self.told, self.tensors = told, dict(tensors)
        unknown = sorted({layer["op"] for layer in told["layers"]} - set(OPERATORS))
        if told["format"] != 1 or unknown:
            raise ValueError(f"not of this version: format {told['format']}, operators {unknown}")

    @classmethod
    def load(cls, folder):
        from safetensors.numpy import load_file

        folder = Path(folder)
        told = json.loads((folder / "architecture.json").read_text(encoding="utf-8"))
        return cls(told, load_file(folder / "weights.safetensors"))

    def __call__(self, encoded):
        """(N, width) float32 -> the outputs, in their order."""
        values = {**self.tensors, self.told["input"]: np.asarray(encoded, np.float32)}
        for layer in self.told["layers"]:
            taken = [values[name] for name in layer["takes"]]
            values[layer["name"]] = OPERATORS[layer["op"]](layer.get("settings", {}), *taken)
        return tuple(values[name] for name in self.told["outputs"])


def _gemm(said, a, b, c=0):
    a, b = (a.T if said.get("transA") else a), (b.T if said.get("transB") else b)
    return (said.get("alpha", 1) * (a @ b) + said.get("beta", 1) * c).astype(np.float32)


def _windows(x, said, kernel, fill):
    """(N, C, H, W) -> (N, C, H', W', h, w): what each place of a kernel sees."""
    top, left, bottom, right = said.get("pads", [0, 0, 0, 0])
    x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=fill)
    down, across = said.get("dilations", [1, 1])
    size = ((kernel[0] - 1) * down + 1, (kernel[1] - 1) * across + 1)
    found = np.lib.stride_tricks.sliding_window_view(x, size, axis=(2, 3))[..., ::down, ::across]
    y, z = said.get("strides", [1, 1])
    return found[:, :, ::y, ::z]


def _conv(said, x, w, bias=None):
    groups = said.get("group", 1)
    seen = _windows(x, said, w.shape[2:], 0)
    parts = zip(np.split(seen, groups, axis=1), np.split(w, groups), strict=True)
    made = [np.einsum("nchwij,ocij->nohw", part, kernel, optimize=True) for part, kernel in parts]
    made = np.concatenate(made, axis=1)
    return (made if bias is None else made + bias.reshape(1, -1, 1, 1)).astype(np.float32)


def _max_pool(said, x):
    return _windows(x, said, said["kernel_shape"], -np.inf).max(axis=(-2, -1))


def _average_pool(said, x):
    total = _windows(x, said, said["kernel_shape"], 0).sum(axis=(-2, -1))
    ones = np.ones_like(x[:1, :1]) if not said.get("count_include_pad") else None
    count = math.prod(said["kernel_shape"])
    return total / (
        count if ones is None else _windows(ones, said, said["kernel_shape"], 0).sum(axis=(-2, -1))
    )


def _normal(x, axes, epsilon):
    mean = x.mean(axis=axes, keepdims=True)
    return (x - mean) / np.sqrt(((x - mean) ** 2).mean(axis=axes, keepdims=True) + np.float32(epsilon))


def _layer_norm(said, x, scale, bias=0):
    first = said.get("axis", -1) % x.ndim
    return _normal(x, tuple(range(first, x.ndim)), said.get("epsilon", 1e-5)) * scale + bias


def _group_norm(said, x, scale, bias):
    parted = x.reshape(len(x), said["num_groups"], -1)
    whole = _normal(parted, (2,), said.get("epsilon", 1e-5)).reshape(x.shape)
    each = (1, -1, *[1] * (x.ndim - 2))
    return whole * scale.reshape(each) + bias.reshape(each)


def _batch_norm(said, x, scale, bias, mean, variance):
    each = (1, -1, *[1] * (x.ndim - 2))
    factor = scale / np.sqrt(variance + np.float32(said.get("epsilon", 1e-5)))
    return (x - mean.reshape(each)) * factor.reshape(each) + bias.reshape(each)


def _gelu(said, x):
    if said.get("approximate") == "tanh":
        return 0.5 * x * (1 + np.tanh(np.float32(math.sqrt(2 / math.pi)) * (x + np.float32(0.044715) * x**3)))
    return (0.5 * x * (1 + _erf({}, x / np.float32(math.sqrt(2))))).astype(np.float32)


def _erf(said, x):
    return np.vectorize(math.erf, otypes=[np.float32])(x)


def _softmax(said, x):
    shares = np.exp(x - x.max(axis=said.get("axis", -1), keepdims=True))
    return shares / shares.sum(axis=said.get("axis", -1), keepdims=True)


def _slice(said, x, starts, ends, axes=None, steps=None):
    axes = range(len(starts)) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        places = [slice(None)] * x.ndim
        low = -x.shape[axis]
        places[axis] = slice(int(start), int(end) if end >= low else None, int(step))
        x = x[tuple(places)]
    return x


def _reshape(said, x, shape):
    sizes = [
        x.shape[i] if size == 0 and not said.get("allowzero") else int(size) for i, size in enumerate(shape)
    ]
    return x.reshape(sizes)


def _flatten(said, x):
    axis = said.get("axis", 1)
    return x.reshape(math.prod(x.shape[:axis]), -1)


def _squeeze(said, x, axes=None):
    return np.squeeze(x, None if axes is None else tuple(int(axis) for axis in axes))


def _clip(said, x, low=None, high=None):
    return np.clip(x, low, high) if low is not None or high is not None else x


OPERATORS = {
    "Abs": lambda said, x: np.abs(x),
    "Add": lambda said, a, b: a + b,
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_norm,
    "Clip": _clip,
    "Concat": lambda said, *parts: np.concatenate(parts, axis=said["axis"]),
    "Conv": _conv,
    "Cos": lambda said, x: np.cos(x),
    "Div": lambda said, a, b: a / b,
    "Elu": lambda said, x: np.where(x > 0, x, np.float32(said.get("alpha", 1)) * np.expm1(np.minimum(x, 0))),
    "Erf": _erf,
    "Exp": lambda said, x: np.exp(x),
    "Flatten": _flatten,
    "Gather": lambda said, x, places: np.take(x, places, axis=said.get("axis", 0)),
    "Gelu": _gelu,
    "Gemm": _gemm,
    "GlobalAveragePool": lambda said, x: x.mean(axis=tuple(range(2, x.ndim)), keepdims=True),
    "GroupNormalization": _group_norm,
    "Identity": lambda said, x: x,
    "LayerNormalization": _layer_norm,
    "LeakyRelu": lambda said, x: np.where(x > 0, x, np.float32(said.get("alpha", 0.01)) * x),
    "MatMul": lambda said, a, b: a @ b,
    "Max": lambda said, a, b: np.maximum(a, b),
    "MaxPool": _max_pool,
    "Min": lambda said, a, b: np.minimum(a, b),
    "Mul": lambda said, a, b: a * b,
    "Neg": lambda said, x: -x,
    "Pow": lambda said, a, b: a**b,
    "Relu": lambda said, x: np.maximum(x, 0),
    "Reshape": _reshape,
    "Sigmoid": lambda said, x: (1 / (1 + np.exp(-np.clip(x, -88, 88)))).astype(np.float32),
    "Sin": lambda said, x: np.sin(x),
    "Slice": _slice,
    "Softmax": _softmax,
    "Softplus": lambda said, x: np.logaddexp(x, 0, dtype=np.float32),
    "Sqrt": lambda said, x: np.sqrt(x),
    "Squeeze": _squeeze,
    "Sub": lambda said, a, b: a - b,
    "Tanh": lambda said, x: np.tanh(x),
    "Transpose": lambda said, x: np.transpose(x, said.get("perm")),
    "Unsqueeze": lambda said, x, axes: np.expand_dims(x, tuple(int(axis) for axis in axes)),
}
