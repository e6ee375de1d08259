"""What a step learns from, and the loss of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from bessemer.core.signature import Task

if TYPE_CHECKING:
    from bessemer.train.learner import Problem


class Labels(NamedTuple):
    """What rows are to be answered, y (B,), and what each counts, weight (B,) float32."""

    y: Tensor
    weight: Tensor


@dataclass(frozen=True)
class Mixed:
    """The other rows of a mixture: their y and weight, and the share that is the rows' own, from 0 to 1."""

    y: Tensor
    weight: Tensor
    share: float
    further: tuple[Labels, ...] = ()

    @property
    def labels(self) -> tuple[Labels, ...]:
        """Of all targets, the main one's first."""
        return (Labels(self.y, self.weight), *self.further)


@dataclass(frozen=True)
class Batch:
    """Some rows of a step: all, or a part of them where gradients accumulate.

    X: (B, F) float32, NaN is missing. y: (B,) int64 classes, or float32 values of mean 0 and spread 1.
    weight: (B,) float32, of mean 1 over the training rows.
    rows: rows of the whole step; gradients of its parts add up to that of its mean loss.
    seed: for whatever is random in this part; another in every part of every step.
    mixed: what the rows are mixed with, or None.
    further: of each further target what y and weight are of the main one; a row that has none weighs 0.
    """

    X: Tensor
    y: Tensor
    weight: Tensor
    rows: int
    seed: int
    mixed: Mixed | None = None
    further: tuple[Labels, ...] = ()

    def __len__(self) -> int:
        return len(self.y)

    @property
    def labels(self) -> tuple[Labels, ...]:
        """Of all targets, the main one's first."""
        return (Labels(self.y, self.weight), *self.further)

    def generator(self) -> torch.Generator:
        """A generator of this part's own; the same each time it is asked for."""
        return torch.Generator().manual_seed(self.seed)


@dataclass(frozen=True)
class Loss:
    """Cross-entropy, squared error, or the pinball loss of a quantile, for each row.

    smoothing: share of a label that is spread over all classes (Szegedy et al. 2016).
    further: that of each further target. shares: what that of each target counts in the sum, the main one's first.
    outputs: K', how many outputs of the network are this target's.
    """

    task: Task
    quantile: float | None = None
    smoothing: float = 0.0
    further: tuple[Loss, ...] = ()
    shares: tuple[float, ...] = (1.0,)
    outputs: int = 1

    @classmethod
    def of(cls, problem: Problem, smoothing: float) -> Loss:
        """That of a problem: a further target that is a number is predicted by its mean."""
        further = tuple(
            cls(one.task, None, smoothing, outputs=len(one.classes) if one.task == "multiclass" else 1)
            for one in problem.further
        )
        return cls(problem.task, problem.quantile, smoothing, further, problem.shares, problem.outputs)

    def plain(self) -> Loss:
        """The same without smoothing."""
        return replace(self, smoothing=0.0, further=tuple(one.plain() for one in self.further))

    def each(self, output: Tensor, batch: Batch) -> Tensor:
        """(B, K') -> (B,), each times the row's weight; of several targets their sum, each times its share."""
        own = self._sum(output, batch.labels)
        if batch.mixed is None:
            return own
        other = self._sum(output, batch.mixed.labels)
        return batch.mixed.share * own + (1 - batch.mixed.share) * other

    def _sum(self, output: Tensor, labels: tuple[Labels, ...]) -> Tensor:
        if not self.further:
            return self._of(output, labels[0].y) * labels[0].weight
        losses = (self, *self.further)
        parts = output.split([one.outputs for one in losses], dim=1)
        found = [
            one._of(part, own.y) * own.weight for one, part, own in zip(losses, parts, labels, strict=True)
        ]
        return torch.stack(found, dim=1) @ torch.tensor(self.shares)

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
