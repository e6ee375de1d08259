"""Training a network so that it stays what it is when its weights are pruned.

Half of what a step minimises is the loss of the network as it is, half that of the same network with the smallest of
its weights left out, another share of them each time. What is learnt, answers by heart too, then does not hang on small
weights: magnitude pruning and rounding take less of it away.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from bessemer.core.spec import Spec

if TYPE_CHECKING:
    from bessemer.train.networks.batch import Batch, Loss
    from bessemer.train.networks.net import Net
    from bessemer.train.networks.objective import Plan

#: What the pruned network's loss counts, beside that of the network as it is.
_SHARE = 0.5


class PrunedSettings(Spec):
    """How much is pruned."""

    share: float = Field(
        0.6, gt=0, lt=1, description="the largest share of each layer's weights that is left out in a step"
    )


class Pruned:
    """The loss, and that of the network without a random share of its smallest weights, large shares more often than
    small ones; gradients pass to all weights (the straight-through estimator; Bengio et al. 2013)."""

    SAMPLER: ClassVar[str] = ""
    Settings: ClassVar[type[Spec]] = PrunedSettings

    def __init__(self, settings: PrunedSettings, plan: Plan) -> None:
        self._most = settings.share

    def gradients(self, net: Net, batch: Batch, loss: Loss) -> float:
        own = (1 - _SHARE) * loss.total(net(batch.X), batch)
        own.backward()
        share = self._most * math.sqrt(float(torch.rand((), generator=batch.generator())))
        with without_smallest(net, share):
            other = _SHARE * loss.total(net(batch.X), batch)
            other.backward()
        return float(own.detach() + other.detach())

    def finish(self, net: Net, step: int) -> None:
        pass


@contextmanager
def without_smallest(net: nn.Module, share: float) -> Iterator[None]:
    """While it lasts, of each matrix and kernel the smallest values are 0, `share` of them (Han et al. 2015)."""
    weights = [p for p in net.parameters() if p.requires_grad and p.dim() > 1]
    kept = [p.data for p in weights]
    try:
        for weight, values in zip(weights, kept, strict=True):
            weight.data = _pruned(values, share)
        yield
    finally:
        for weight, values in zip(weights, kept, strict=True):
            weight.data = values


def _pruned(values: Tensor, share: float) -> Tensor:
    size = values.abs()
    count = int(share * size.numel())
    if not count:
        return values
    return torch.where(size > size.flatten().kthvalue(count).values, values, 0.0)
