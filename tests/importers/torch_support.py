"""A convnet and a network of a table, trained with torch on digits as anybody would, and what they say."""

from __future__ import annotations

import base64
import io
from functools import cache
from typing import Any

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_digits
from torch import nn

X, DIGIT = load_digits(return_X_y=True)
PIXELS = np.round(X / 16 * 255).astype(np.uint8).reshape(-1, 8, 8)
#: Rows that no network here has learnt.
HELD = slice(1500, 1600)
SIGNATURE = """target: digit
inputs: {photo: {image: {size: [8, 8], channels: 1, mean: [0.3], std: [0.4]}}}
classes: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
"""


def png(pixels: np.ndarray) -> str:
    """(H, W) or (H, W, 3) bytes as base64 of a PNG."""
    kept = io.BytesIO()
    Image.fromarray(pixels).save(kept, "PNG")
    return base64.b64encode(kept.getvalue()).decode()


def taken(rows: slice) -> torch.Tensor:
    """What the convnet takes of images: as torchvision's ToTensor and Normalize(0.3, 0.4) make it."""
    return torch.from_numpy((np.float32(PIXELS[rows] / 255) - 0.3) / 0.4)[:, None].float()


def pictures(rows: slice) -> list[dict[str, Any]]:
    return [{"photo": png(one)} for one in PIXELS[rows]]


@cache
def convnet() -> nn.Module:
    """(N, 1, 8, 8) -> (N, 10) logits."""
    net = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.1),
        nn.Flatten(), nn.Linear(128, 10),
    )  # fmt: skip
    return trained(net, taken(slice(1000)), torch.from_numpy(DIGIT[:1000]))


@cache
def table_net() -> nn.Module:
    """(N, 5) -> (N, 2) probabilities of even and odd."""
    net = nn.Sequential(nn.Linear(5, 16), nn.LayerNorm(16), nn.GELU(), nn.Linear(16, 2), nn.Softmax(1))
    return trained(net, columns(slice(1000)), torch.from_numpy(DIGIT[:1000] % 2))


def columns(rows: slice) -> torch.Tensor:
    return torch.from_numpy(X[rows, 18:23]).float()


def trained(net: nn.Module, x: torch.Tensor, y: torch.Tensor) -> nn.Module:
    torch.manual_seed(0)
    for module in net:  # type: ignore[attr-defined]
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    optimizer = torch.optim.Adam(net.parameters(), 0.01)
    for at in range(0, 3 * len(x), 100):
        some = slice(at % len(x), at % len(x) + 100)
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x[some]), y[some]).backward()
        optimizer.step()
    return net.eval()


def said(net: nn.Module, x: torch.Tensor) -> np.ndarray:
    with torch.no_grad():
        return net(x).numpy()  # type: ignore[no-any-return]


def softmax(scores: np.ndarray) -> np.ndarray:
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))
