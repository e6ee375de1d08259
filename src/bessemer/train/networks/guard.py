"""A step whose loss or gradient is no number changes nothing."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

#: So many bad steps one after the other end the training.
_MOST_IN_A_ROW = 20


class Guard:
    """Clips gradients, and refuses those that are not finite.

    clip: the largest norm of all gradients together (Pascanu et al. 2013), 0 for none.
    skipped: steps refused so far. in_a_row: of them, those since the last good one.
    """

    def __init__(self, net: nn.Module, clip: float) -> None:
        self._parameters = [p for p in net.parameters() if p.requires_grad]
        self._clip = clip
        self.skipped = self.in_a_row = 0

    @property
    def given_up(self) -> bool:
        return self.in_a_row >= _MOST_IN_A_ROW

    def admit(self, loss: float) -> bool:
        """Whether the step may be taken; its gradients are clipped then, else forgotten."""
        gradients = [p.grad for p in self._parameters if p.grad is not None]
        norm = float(_norm(gradients)) if gradients else 0.0
        if not (math.isfinite(loss) and math.isfinite(norm)):
            self.skipped, self.in_a_row = self.skipped + 1, self.in_a_row + 1
            for p in self._parameters:
                p.grad = None
            return False
        if self._clip and norm > self._clip:
            torch._foreach_mul_(gradients, self._clip / norm)
        self.in_a_row = 0
        return True


def _norm(gradients: list[Tensor]) -> Tensor:
    return torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
