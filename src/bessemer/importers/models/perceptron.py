"""A perceptron as a head: standardised features, layers, one score for each output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bessemer.core import canonical
from bessemer.core.errors import did_you_mean
from bessemer.importers.models.foreign import refused
from bessemer.package.graph import GraphBuilder, serialize
from bessemer.train.learner import Native

_ACTIVATIONS = {
    "relu": "Relu", "tanh": "Tanh", "sigmoid": "Sigmoid", "elu": "Elu", "selu": "Selu", "softplus": "Softplus",
    "gelu": "Gelu", "identity": "Identity",
}  # fmt: skip


@dataclass(frozen=True)
class Layer:
    """weight: (I, O) float32; bias: (O,) float32. activation: what comes after it, but for the last layer."""

    weight: np.ndarray
    bias: np.ndarray
    activation: str


def perceptron(layers: Sequence[Layer], impute: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> Native:
    """The native model; its contributions are told against the row of `impute`.

    Args:
        impute, mean, scale: (F,), of raw features.

    Raises:
        FormatError: layers that do not fit, or numbers that are none.
    """
    _check(layers, len(mean))
    g = GraphBuilder("perceptron")
    first, *rest = layers
    bias = first.bias + off_by(mean, scale) @ first.weight.astype(np.float64)
    layers = [Layer(first.weight, bias.astype(np.float32), first.activation), *rest]
    x = g.input("features", "float32", ("N", len(mean)))
    x = g.op("Where", [g.op("IsNaN", [x]), g.constant(impute.astype(np.float32)), x])
    x = g.op("Sub", [x, g.constant(mean.astype(np.float32))])
    x = g.op("Div", [x, g.constant(scale.astype(np.float32))])
    for layer in layers[:-1]:
        x = g.op(_ACTIVATIONS[layer.activation], [_dense(g, x, layer)])
    g.output(
        g.op("Identity", [_dense(g, x, layers[-1])], name="score"), "float32", ("N", len(layers[-1].bias))
    )
    line = canonical.dump_bytes({"baseline": impute.astype(np.float32).tolist()})
    return Native("head", "head.onnx", line + b"\n" + serialize(g.model()))


def off_by(mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """(F,) by how much a standardised feature is too small, since the mean is kept as float32.

    >>> off_by(np.array([16_777_217.0]), np.array([2.0])).tolist()
    [-0.5]
    """
    return np.asarray((mean.astype(np.float32).astype(np.float64) - mean) / scale, dtype=np.float64)


def _dense(g: GraphBuilder, x: str, layer: Layer) -> str:
    return g.op("Gemm", [x, g.constant(layer.weight), g.constant(layer.bias)])


def _check(layers: Sequence[Layer], features: int) -> None:
    width = features
    for i, layer in enumerate(layers):
        if (
            layer.weight.ndim != 2
            or layer.weight.shape[0] != width
            or layer.bias.shape != layer.weight.shape[1:]
        ):
            raise refused(
                f"layer {i} takes {layer.weight.shape} numbers and adds {layer.bias.shape}, behind {width} of them"
            )
        if not (np.isfinite(layer.weight).all() and np.isfinite(layer.bias).all()):
            raise refused(f"layer {i} has weights that are no numbers")
        if layer.activation not in _ACTIVATIONS:
            raise refused(
                f"the activation '{layer.activation}' cannot be taken over",
                fix=did_you_mean(layer.activation, _ACTIVATIONS),
            )
        width = len(layer.bias)
    if not layers or width < 1:
        raise refused("the network has no layers")
