"""Feature squeezing: pixels are rounded before anything looks at them, so that small changes are gone."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Squeeze(nn.Module):  # type: ignore[misc]
    """Pixels from 0 to 1, rounded to as many levels as `bits` can tell apart (Xu, Evans and Qi 2018); NaN stays.

    Its gradient is that of a network without it, so that whoever attacks, in training too, is not misled: rounding
    alone has a gradient of 0 and would only look strong (Athalye, Carlini and Wagner 2018).

    >>> Squeeze(1)(torch.tensor([0.2, 0.7])).tolist()
    [0.0, 1.0]
    """

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.levels = float(2**bits - 1)

    def forward(self, x: Tensor) -> Tensor:
        rounded = torch.round(x * self.levels) / self.levels
        return rounded.detach() + (x - x.detach())
