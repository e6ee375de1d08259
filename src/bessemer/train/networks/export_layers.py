"""What torch's layers are in nodes of the ONNX standard (opset 20)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from bessemer.train.networks.dropout import Dropout
from bessemer.train.networks.export_step import Step
from bessemer.train.networks.squeeze import Squeeze

Layer = Callable[[Step, Any], str]


def _linear(s: Step, layer: nn.Linear) -> str:
    bias = None if layer.bias is None else s.tensor(layer.bias)
    return _affine(s, s.x, layer.weight, bias)


def _affine(s: Step, x: str, weight: torch.Tensor, bias: str | None) -> str:
    if len(s.shape(0)) == 2:
        return s.op("Gemm", x, s.tensor(weight), *([bias] if bias else []), transB=1)
    product = s.op("MatMul", x, s.tensor(weight.T))
    return s.op("Add", product, bias) if bias else product


def _convolution(s: Step, layer: nn.Conv1d | nn.Conv2d) -> str:
    bias = [] if layer.bias is None else [s.tensor(layer.bias)]
    return s.op(
        "Conv",
        s.x,
        s.tensor(layer.weight),
        *bias,
        kernel_shape=list(layer.kernel_size),
        strides=list(layer.stride),
        dilations=list(layer.dilation),
        group=layer.groups,
        pads=[*layer.padding, *layer.padding],
    )


def _group_norm(s: Step, layer: nn.GroupNorm) -> str:
    """As torch's own exporter does: the operator of opset 18 has a scale for each group, not for each channel."""
    _, channels, *space = s.shape(0)
    ones = s.builder.constant(np.ones(layer.num_groups, dtype=np.float32))
    zeros = s.builder.constant(np.zeros(layer.num_groups, dtype=np.float32))
    grouped = s.op("Reshape", s.x, s.whole([0, layer.num_groups, -1]))
    normal = s.op("InstanceNormalization", grouped, ones, zeros, epsilon=layer.eps)
    back = s.op("Reshape", normal, s.whole([0, channels, *space]))
    wide = (channels, *(1 for _ in space))
    scaled = s.op("Mul", back, s.tensor(layer.weight.reshape(wide)))
    return s.op("Add", scaled, s.tensor(layer.bias.reshape(wide)))


def _layer_norm(s: Step, layer: nn.LayerNorm) -> str:
    return s.op(
        "LayerNormalization",
        s.x,
        s.tensor(layer.weight),
        s.tensor(layer.bias),
        axis=-len(layer.normalized_shape),
        epsilon=layer.eps,
    )


def _max_pool(s: Step, layer: nn.MaxPool1d | nn.MaxPool2d) -> str:
    axes = len(s.shape(0)) - 2
    kernel, stride, padding = (_each(v, axes) for v in (layer.kernel_size, layer.stride, layer.padding))
    return s.op("MaxPool", s.x, kernel_shape=kernel, strides=stride, pads=[*padding, *padding])


def _each(size: int | Sequence[int], axes: int) -> list[int]:
    return [size] * axes if isinstance(size, int) else list(size)


def _average_pool(s: Step, layer: nn.AvgPool2d) -> str:
    kernel, stride = _each(layer.kernel_size, 2), _each(layer.stride, 2)
    return s.op("AveragePool", s.x, kernel_shape=kernel, strides=stride)


def _embedding(s: Step, layer: nn.Embedding) -> str:
    return s.op("Gather", s.tensor(layer.weight), s.x, axis=0)


def _squeeze(s: Step, layer: Squeeze) -> str:
    levels = s.value(layer.levels)
    return s.op("Div", s.op("Round", s.op("Mul", s.x, levels)), levels)


#: Modules that are steps; others are traced through.
MODULES: Mapping[type, Layer] = {
    nn.Linear: _linear,
    nn.Conv1d: _convolution,
    nn.Conv2d: _convolution,
    nn.GroupNorm: _group_norm,
    nn.LayerNorm: _layer_norm,
    nn.AvgPool2d: _average_pool,
    nn.MaxPool1d: _max_pool,
    nn.MaxPool2d: _max_pool,
    nn.Embedding: _embedding,
    nn.Identity: lambda s, layer: s.x,
    Dropout: lambda s, layer: s.x,
    Squeeze: _squeeze,
}
