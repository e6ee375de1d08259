"""Small convolutional networks and pictures whose meaning is known."""

from __future__ import annotations

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn

SIDE = 12


def digits(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """scikit-learn's digits, each somewhere on a canvas of noise: images (N, 1, 12, 12), classes, where the ink is."""
    from sklearn.datasets import load_digits

    data = load_digits()
    rng = np.random.default_rng(seed)
    images = rng.uniform(0, 0.2, (len(data.target), 1, SIDE, SIDE)).astype(np.float32)
    ink = np.zeros(images.shape, dtype=bool)
    for i, image in enumerate(data.images / 16):
        y, x = rng.integers(1, 4, 2)
        images[i, 0, y : y + 8, x : x + 8] += image
        ink[i, 0, y : y + 8, x : x + 8] = image > 0.25
    return torch.from_numpy(images), torch.from_numpy(data.target), torch.from_numpy(ink)


def convnet(seed: int = 0, outputs: int = 10) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        *(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.Dropout(0.1)),
        *(nn.Flatten(), nn.Linear(16 * 36, outputs)),
    )


def trained(network: nn.Module, images: Tensor, classes: Tensor, epochs: int, seed: int = 0) -> nn.Module:
    steps = torch.optim.Adam(network.parameters(), lr=0.005)
    order = np.random.default_rng(seed)
    network.train()
    for _ in range(epochs):
        for rows in np.array_split(order.permutation(len(images)), max(1, len(images) // 64)):
            loss = nn.functional.cross_entropy(network(images[rows]), classes[rows])
            steps.zero_grad()
            loss.backward()
            steps.step()
    for weight in network.parameters():
        weight.grad = None
    return network.eval()


def accuracy(network: nn.Module, images: Tensor, classes: Tensor) -> float:
    with torch.no_grad():
        return float((network.eval()(images).argmax(dim=1) == classes).float().mean())


def likeness(a: np.ndarray, b: np.ndarray) -> float:
    """The mean rank correlation of two attributions of the same pictures."""
    return float(np.mean([spearmanr(x.ravel(), y.ravel()).statistic for x, y in zip(a, b, strict=True)]))
