"""The structural similarity as a loss: what `pixels.ssim` measures, for many images and with gradients."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from bessemer.protect.pixels import C1, C2, WINDOW


def ssim(one: Tensor, other: Tensor) -> Tensor:
    """(N,) the mean structural similarity (Wang et al. 2004) of (N, C, H, W) images from 0 to 1.

    >>> import torch
    >>> ssim(torch.eye(8)[None, None], torch.eye(8)[None, None])
    tensor([1.])
    """
    side = min(WINDOW, *one.shape[2:])

    def mean(values: Tensor) -> Tensor:
        found: Tensor = functional.avg_pool2d(values, side, 1)
        return found

    mean_a, mean_b = mean(one), mean(other)
    spread = mean(one**2) - mean_a**2 + mean(other**2) - mean_b**2
    together = mean(one * other) - mean_a * mean_b
    found = (2 * mean_a * mean_b + C1) * (2 * together + C2)
    return (found / ((mean_a**2 + mean_b**2 + C1) * (spread + C2))).mean((1, 2, 3))
