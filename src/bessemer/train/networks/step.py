"""One step: gradients of all its parts, the guard, the optimiser."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch

from bessemer.train.networks.batch import Batch, Loss
from bessemer.train.networks.dropout import seed_dropout
from bessemer.train.networks.guard import Guard
from bessemer.train.networks.net import Net
from bessemer.train.networks.objective import Objective
from bessemer.train.networks.optimizer import follow, optimizer_of
from bessemer.train.networks.private import is_private


class Stepper:
    """A network and all that its steps change."""

    def __init__(self, net: Net, objective: Objective, loss: Loss, params: Mapping[str, Any]) -> None:
        self.net, self.optimizer = net, optimizer_of(params["optimizer"], net)
        self.guard = Guard(net, params["clip"])
        self._objective, self._loss, self._decay = objective, loss, float(params["weight_decay"])
        #: Whether the loss of the training rows may be told.
        self.tells = not is_private(objective)
        self._generator = torch.Generator()
        seed_dropout(net, self._generator)
        net.bfloat16 = params["precision"] == "bfloat16"

    def take(self, parts: Iterable[Batch], step: int, rate: float, decays: float = 1.0) -> float:
        """The step's mean loss; 0 where it may not be told, so that it is in no checkpoint either.

        Nothing has changed where it, or the gradient, is not finite (`guard.in_a_row`).

        decays: factor of the weight decay.
        """
        if not self.net.training:
            self.net.train()
        loss = 0.0
        for batch in parts:
            self._generator.manual_seed(batch.seed)
            loss += self._objective.gradients(self.net, batch, self._loss)
        self._objective.finish(self.net, step)
        if self.guard.admit(loss):
            follow(self.optimizer, rate, self._decay * decays)
        return loss if self.tells else 0.0
