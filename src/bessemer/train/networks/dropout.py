"""Dropout whose every draw follows from the seed and the step, so that no generator's state is ever saved."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Dropout(nn.Module):  # type: ignore[misc]
    """Leaves out a share of the values in training and scales the others up (Srivastava et al. 2014).

    share: of the values; with `whole_rows` all values of a row go together (stochastic depth, Huang et al. 2016).
    """

    def __init__(self, share: float, whole_rows: bool = False) -> None:
        super().__init__()
        self.share, self.whole_rows = share, whole_rows
        self.generator: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.share <= 0 or self.generator is None:
            return x
        shape = (len(x),) + (1,) * (x.dim() - 1) if self.whole_rows else x.shape
        kept = torch.empty(shape, dtype=x.dtype).bernoulli_(1 - self.share, generator=self.generator)
        return x * (kept / (1 - self.share))


def seed_dropout(module: nn.Module, generator: torch.Generator | None) -> None:
    """Let every dropout of the module draw from one generator, in the order in which they run; None stops them."""
    for layer in module.modules():
        if isinstance(layer, Dropout):
            layer.generator = generator
