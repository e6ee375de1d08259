"""The three networks of Li et al. (2019), small: one makes keys, one is to tell them apart, one is to learn them."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

#: Channels of the first layers; each halving doubles them.
_WIDTH = 8
#: How far a pixel may be moved, in spreads of the pixels around it.
_REACH = 0.5


class Encoder(nn.Module):  # type: ignore[misc]
    """Image and logo to a key: a U-Net of three scales (Ronneberger et al. 2015) that says how far each pixel moves.

    What it says is weighed by the spread around the pixel, so that an even ground stays as it is: there every change is
    seen, by eyes and by networks. `logo` is (C, H, W), a buffer: it is of the encoder.
    """

    def __init__(self, logo: Tensor) -> None:
        super().__init__()
        channels = logo.shape[0]
        self.register_buffer("logo", logo)
        self.register_buffer("strength", torch.ones(()))
        self.first = _layer(2 * channels, _WIDTH)
        self.second = _layer(_WIDTH, 2 * _WIDTH)
        self.lowest = _layer(2 * _WIDTH, 2 * _WIDTH)
        self.third = _layer(4 * _WIDTH, _WIDTH)
        self.fourth = _layer(2 * _WIDTH, _WIDTH)
        self.moves = nn.Conv2d(_WIDTH, channels, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, H, W) float32 from 0 to 1 -> the keys, of 256 levels."""
        logos = self.logo.expand(len(images), -1, -1, -1)
        fine = self.first(torch.cat([images, logos], 1))
        middle = self.second(functional.avg_pool2d(fine, 2, ceil_mode=True))
        coarse = self.lowest(functional.avg_pool2d(middle, 2, ceil_mode=True))
        back = self.third(torch.cat([middle, _as_large(coarse, middle)], 1))
        last = self.fourth(torch.cat([fine, _as_large(back, fine)], 1))
        moved = self.strength * _REACH * torch.tanh(self.moves(last)) * spread(images)
        return rounded((images + moved).clamp(0, 1))


class Critic(nn.Module):  # type: ignore[misc]
    """(N, C, H, W) -> (N, outputs): three convolutions, each at half the size, and what they find on the average and at
    most. With one output it is the discriminator, with one for each class the host that the encoder is trained for."""

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        widths = (channels, 2 * _WIDTH, 4 * _WIDTH, 8 * _WIDTH)
        self.body = nn.Sequential(*(_layer(a, b, stride=2) for a, b in pairwise(widths)))
        self.head = nn.Linear(2 * widths[-1], outputs)

    def forward(self, images: Tensor) -> Tensor:
        found = self.body(2 * images - 1)
        answer: Tensor = self.head(torch.cat([found.mean((2, 3)), found.amax((2, 3))], 1))
        return answer


def spread(images: Tensor) -> Tensor:
    """The standard deviation of the 3 x 3 pixels around each, the mean over the channels: (N, 1, H, W)."""
    padded = functional.pad(images, (1, 1, 1, 1), mode="replicate")
    mean = functional.avg_pool2d(padded, 3, 1)
    square = functional.avg_pool2d(padded**2, 3, 1)
    return (square - mean**2).clamp(min=1e-8).sqrt().mean(1, keepdim=True)


def rounded(images: Tensor) -> Tensor:
    """256 levels, as a PNG file has them; gradients pass."""
    return images + (torch.round(images * 255) / 255 - images).detach()


def _layer(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, padding=1), nn.LeakyReLU(0.1))


def _as_large(small: Tensor, large: Tensor) -> Tensor:
    made: Tensor = functional.interpolate(small, size=large.shape[2:], mode="nearest")
    return made
