"""What a step learns from, and the loss of it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from bessemer.core.signature import Task


@dataclass(frozen=True)
class Mixed:
    """The other rows of a mixture: their y and weight, and the share that is the rows' own, from 0 to 1."""

    y: Tensor
    weight: Tensor
    share: float


@dataclass(frozen=True)
class Batch:
    """Some rows of a step: all, or a part of them where gradients accumulate.

    X: (B, F) float32, NaN is missing. y: (B,) int64 classes, or float32 values of mean 0 and spread 1.
    weight: (B,) float32, of mean 1 over the training rows.
    rows: rows of the whole step; gradients of its parts add up to that of its mean loss.
    seed: for whatever is random in this part; another in every part of every step.
    mixed: what the rows are mixed with, or None.
    """

    X: Tensor
    y: Tensor
    weight: Tensor
    rows: int
    seed: int
    mixed: Mixed | None = None

    def __len__(self) -> int:
        return len(self.y)

    def generator(self) -> torch.Generator:
        """A generator of this part's own; the same each time it is asked for."""
        return torch.Generator().manual_seed(self.seed)


@dataclass(frozen=True)
class Loss:
    """Cross-entropy, squared error, or the pinball loss of a quantile, for each row.

    smoothing: share of a label that is spread over all classes (Szegedy et al. 2016).
    """

    task: Task
    quantile: float | None = None
    smoothing: float = 0.0

    def each(self, output: Tensor, batch: Batch) -> Tensor:
        """(B, K') -> (B,), each times the row's weight."""
        own = self._of(output, batch.y) * batch.weight
        if batch.mixed is None:
            return own
        other = self._of(output, batch.mixed.y) * batch.mixed.weight
        return batch.mixed.share * own + (1 - batch.mixed.share) * other

    def total(self, output: Tensor, batch: Batch) -> Tensor:
        """This part's share of the step's mean loss."""
        return self.each(output, batch).sum() / batch.rows

    def _of(self, output: Tensor, y: Tensor) -> Tensor:
        if self.task == "multiclass":
            return functional.cross_entropy(output, y, reduction="none", label_smoothing=self.smoothing)
        if self.task == "binary":
            smooth = y * (1 - self.smoothing) + self.smoothing / 2
            return functional.binary_cross_entropy_with_logits(output[:, 0], smooth, reduction="none")
        short = y - output[:, 0]
        if self.quantile is None:
            return short**2
        return torch.maximum(self.quantile * short, (self.quantile - 1) * short)
