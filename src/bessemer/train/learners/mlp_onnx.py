"""The network as one ONNX graph: imputation, scaling, waves and layers inside."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.package.graph import GraphBuilder
from bessemer.train.learners.mlp_net import CLIP, LARGEST, MIXED, STEEPEST

if TYPE_CHECKING:
    from bessemer.train.learners.mlp_net import Net, Scaling


def to_onnx(net: Net, scaling: Scaling, target: tuple[float, float], bounds: tuple[float, float]) -> Any:
    """`features` (N, F) float32 -> `score` (N, K') float32.

    Args:
        target: mean and spread that the output is turned back with.
        bounds: what the score is clipped to, where they are finite.
    """
    g = GraphBuilder("mlp")
    x = g.input("features", "float32", ("N", len(scaling.median)))
    h = _waves(g, _scaled(g, x, scaling), net)
    arrays = net.arrays()
    for i in range(len(net.weights)):
        weight = arrays[f"weights.{i}"] / math.sqrt(len(arrays[f"weights.{i}"]))
        if i == 0:
            weight = arrays["scale"][:, None] * weight
        bias = arrays[f"biases.{i}"]
        if i == len(net.weights) - 1:
            weight, bias = _back(weight, bias + net.prior.numpy(), target)
        h = g.op("Gemm", [h, _const(g, weight), _const(g, bias)])
        if i < len(net.weights) - 1:
            h = _bent(g, h, net.activation, arrays[f"slopes.{i}"])
    if math.isfinite(bounds[0]):
        h = g.op("Clip", [h, _const(g, bounds[0]), _const(g, bounds[1])])
    g.output(g.op("Identity", [h], name="score"), "float32", ("N", len(net.prior)))
    return g.model()


def _const(g: GraphBuilder, value: Any) -> str:
    return g.constant(np.asarray(value, dtype=np.float32))


def _back(weight: np.ndarray, bias: np.ndarray, target: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """The last layer in the target's own unit, rounded once."""
    mean, spread = target
    return weight.astype(np.float64) * spread, bias.astype(np.float64) * spread + mean


def _scaled(g: GraphBuilder, x: str, scaling: Scaling) -> str:
    median = _const(g, scaling.median)
    unknown = g.op("IsNaN", [x])
    known = g.op("Where", [unknown, median, x])
    clipped = g.op("Clip", [known, _const(g, -LARGEST), _const(g, LARGEST)])
    scaled = g.op("Mul", [g.op("Sub", [clipped, median]), _const(g, scaling.factor)])
    scaled = g.op("Clip", [scaled, _const(g, -STEEPEST), _const(g, STEEPEST)])
    third = g.op("Div", [scaled, _const(g, CLIP)])
    root = g.op("Sqrt", [g.op("Add", [g.op("Mul", [third, third]), _const(g, 1)])])
    smooth = g.op("Div", [scaled, root])
    if not len(scaling.missing):
        return smooth
    flagged = g.op("Gather", [unknown, g.constant(scaling.missing.astype(np.int64))], axis=1)
    return g.op("Concat", [smooth, g.op("Cast", [flagged], to=1)], axis=1)


def _waves(g: GraphBuilder, x: str, net: Net) -> str:
    """(N, I) -> (N, I + 3 E)."""
    waving = net.waving.numpy().astype(np.int64)
    if not len(waving):
        return x
    arrays = net.arrays()
    own = g.op("Transpose", [g.op("Gather", [x, g.constant(waving)], axis=1)], perm=[1, 0])
    own = g.op("Unsqueeze", [own, g.constant(np.array([2], dtype=np.int64))])
    turned = g.op("Mul", [own, _const(g, 2 * math.pi * arrays["wave_frequency"])])
    waves = g.op("Cos", [g.op("Add", [turned, _const(g, arrays["wave_phase"])])])
    mixed = g.op("MatMul", [waves, _const(g, arrays["wave_mix"])])
    mixed = g.op("Add", [mixed, _const(g, arrays["wave_shift"])])
    flat = g.op("Transpose", [mixed], perm=[1, 0, 2])
    flat = g.op("Reshape", [flat, g.constant(np.array([-1, len(waving) * MIXED], dtype=np.int64))])
    return g.op("Concat", [x, flat], axis=1)


def _bent(g: GraphBuilder, z: str, activation: str, slope: np.ndarray) -> str:
    """z + slope * (f(z) - z)."""
    if activation == "mish":
        f = g.op("Mul", [z, g.op("Tanh", [g.op("Softplus", [z])])])
    elif activation == "silu":
        f = g.op("Mul", [z, g.op("Sigmoid", [z])])
    else:
        f = g.op({"selu": "Selu", "relu": "Relu"}[activation], [z])
    return g.op("Add", [z, g.op("Mul", [g.op("Sub", [f, z]), _const(g, slope)])])
