"""The rows of a step, read when they are needed: the training matrix may be mapped from disk and larger than memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from bessemer.core.blocks import Block
from bessemer.train.networks.augment import Augment
from bessemer.train.networks.batch import Batch, Labels
from bessemer.train.networks.sampler import Sampler

if TYPE_CHECKING:
    from bessemer.train.network_target import Target


def derived_seed(*numbers: int) -> int:
    """32 bits that follow from some numbers.

    >>> derived_seed(7, 0), derived_seed(7, 1)
    (2083679832, 369571992)
    """
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def rows_of(X: np.ndarray, rows: np.ndarray | slice) -> Tensor:
    """Some rows (M, F) float32 in memory of their own."""
    return torch.from_numpy(np.array(X[rows], dtype=np.float32))


@dataclass(frozen=True)
class Feed:
    """The steps of a training.

    X: (N, F) float32. part_rows: rows that go through the network at once; a step's other rows follow as more parts.
    seed: of the run. further: the further targets.
    """

    X: np.ndarray
    target: Target
    sampler: Sampler
    part_rows: int
    augment: Augment
    blocks: Sequence[Block]
    seed: int
    further: tuple[Target, ...] = ()

    def parts(self, step: int) -> Iterator[Batch]:
        """The parts of a step: the same each time they are asked for."""
        rows = self.sampler.rows(step)
        for part, first in enumerate(range(0, len(rows), self.part_rows)):
            own = rows[first : first + self.part_rows]
            seed = derived_seed(self.seed, step, part)
            yield self.augment.apply(self.batch(own, len(rows), seed), self.blocks)

    def batch(self, rows: np.ndarray, of: int, seed: int) -> Batch:
        """Rows as they are, `of` being those of the whole step."""
        at = torch.from_numpy(rows)
        own, *further = (Labels(one.values[at], one.weight[at]) for one in (self.target, *self.further))
        return Batch(rows_of(self.X, rows), *own, of, seed, further=tuple(further))
