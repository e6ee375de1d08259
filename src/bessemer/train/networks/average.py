"""The moving average of the weights, which often generalises better than the last of them."""

from __future__ import annotations

import copy

import torch

from bessemer.train.networks.net import Net


class Average:
    """Polyak and Juditsky (1992), with weights that fade: mean = decay * mean + (1 - decay) * new.

    In the first steps the decay is smaller, (1 + step) / (10 + step), so that the random start is soon forgotten.

    decay: 0 to 1; a step counts for about 1 / (1 - decay) more.
    """

    def __init__(self, net: Net, decay: float) -> None:
        self.net: Net = copy.deepcopy(net)
        self._decay = decay
        self._mean, self._new = ([p.data for p in one.parameters()] for one in (self.net, net))

    def update(self, step: int) -> None:
        """Take in the weights after a step, counted from 1."""
        share = 1 - min(self._decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self._mean, self._new, share)
