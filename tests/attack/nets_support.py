"""Small networks over real data, trained in a moment."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer, load_digits
from torch import nn

from bessemer.core.blocks import Block
from bessemer.package.graph import GraphBuilder

DIGITS = Block("digit", "image", 0, 64, (1, 8, 8))


def digits() -> tuple[np.ndarray, np.ndarray]:
    """(1797, 64) float32 from 0 to 1, and the digit."""
    found = load_digits()
    return (found.data / 16).astype(np.float32), found.target.astype(np.float64)


def tumours() -> tuple[np.ndarray, np.ndarray]:
    """Ten numbers, one of them missing in every fifth row, and two flags, (569, 12) float32; and the class."""
    found = load_breast_cancer()
    numbers = found.data[:, :10].astype(np.float32)
    numbers[::5, 3] = np.nan
    flags = (found.data[:, 10:12] > np.median(found.data[:, 10:12], axis=0)).astype(np.float32)
    return np.concatenate([numbers, flags], axis=1), found.target.astype(np.float64)


@cache
def convnet() -> bytes:
    """The head of a convnet that reads digits."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 16, 3, stride=2), nn.ReLU(), nn.Flatten(),
        nn.Linear(16 * 9, 10),
    )  # fmt: skip
    X, y = digits()
    return head_of(fit(net, torch.from_numpy(X).reshape(-1, 1, 8, 8), y), 64, image=(1, 8, 8))


@cache
def table_net() -> bytes:
    """The head of a small network over `tumours`: two classes, one score."""
    torch.manual_seed(0)
    X, y = tumours()
    known = np.nan_to_num(X, nan=0.0)
    scale = known.std(axis=0)
    net = nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.Linear(16, 1))
    fit(net, torch.from_numpy(known / scale), y)
    with torch.no_grad():  # the scaling goes into the first layer
        net[0].weight /= torch.from_numpy(scale)
    return head_of(net, 12)


def fit(net: nn.Sequential, X: torch.Tensor, y: np.ndarray, steps: int = 150) -> nn.Sequential:
    optimizer, rng = torch.optim.Adam(net.parameters(), 3e-3), np.random.default_rng(0)
    binary = net[-1].out_features == 1
    target = torch.from_numpy(y.astype(np.float32 if binary else np.int64))
    for _ in range(steps):
        rows = torch.from_numpy(rng.integers(0, len(X), 128))
        output = net(X[rows])
        if binary:
            loss = nn.functional.binary_cross_entropy_with_logits(output[:, 0], target[rows])
        else:
            loss = nn.functional.cross_entropy(output, target[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net.eval()


def head_of(net: nn.Sequential, features: int, image: tuple[int, ...] | None = None) -> bytes:
    """`features` -> `score`; what is missing in a table is 0."""
    g = GraphBuilder("net")
    x = g.input("features", "float32", ("N", features))
    if image is not None:
        x = g.op("Reshape", [x, g.constant(np.array([-1, *image], dtype=np.int64))])
    else:
        x = g.op("Where", [g.op("IsNaN", [x]), g.constant(np.float32(0)), x])
    for layer in net:
        arrays = [g.constant(p.detach().numpy()) for p in layer.parameters()]
        if isinstance(layer, nn.Conv2d):
            (pad, _), (stride, _) = layer.padding, layer.stride
            x = g.op("Conv", [x, *arrays], pads=[pad] * 4, strides=[stride] * 2)
        elif isinstance(layer, nn.Linear):
            x = g.op("Gemm", [x, *arrays], transB=1)
        else:
            x = g.op({"ReLU": "Relu", "Flatten": "Flatten"}[type(layer).__name__], [x])
    g.output(g.op("Identity", [x], name="score"), "float32", ("N", net[-1].out_features))
    data: bytes = g.model().SerializeToString()
    return data
