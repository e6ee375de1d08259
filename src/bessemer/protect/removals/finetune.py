"""Fine-tuning a network on the thief's rows."""

from __future__ import annotations

import importlib.util
from functools import partial
from typing import Any, ClassVar

import numpy as np

from bessemer.protect.removals.removal import Margin, Stolen
from bessemer.protect.removals.weights import written

_EPOCHS, _BATCH = 5, 64


class FineTune:
    """Adam over every weight and bias of the graph; the level is the learning rate."""

    LEVELS: ClassVar[tuple[float, ...]] = (1e-4, 1e-3)

    def name(self, level: float) -> str:
        return f"fine-tuned {_EPOCHS} epochs at {level:g}"

    def refuses(self, stolen: Stolen) -> str:
        if "head" not in stolen.kinds:
            return "it has no network"
        return "" if importlib.util.find_spec("torch") else "torch is not installed"

    def remove(self, stolen: Stolen, level: float) -> Margin:
        return stolen.edited(head=partial(_tuned, stolen=stolen, rate=level))


def _tuned(graph: bytes, stolen: Stolen, rate: float) -> bytes:
    import torch

    from bessemer.package.differentiable import twin

    net = twin(graph)
    weights = {
        name: value.requires_grad_(True)
        for name, value in net.constants().items()
        if value.is_floating_point() and value.numel() > 1
    }
    optimiser = torch.optim.Adam(weights.values(), lr=rate)
    X, y = torch.from_numpy(np.array(stolen.X)), torch.from_numpy(np.array(stolen.y))
    rng = stolen.rng()
    for _ in range(_EPOCHS):
        order = torch.from_numpy(rng.permutation(len(X)))
        for batch in order.split(_BATCH):
            optimiser.zero_grad()
            _loss(stolen, net(X[batch]), y[batch]).backward()
            optimiser.step()
    tuned = {name: value.detach().numpy() for name, value in weights.items()}
    return written(graph, lambda name, before: tuned.get(name))


def _loss(stolen: Stolen, margin: Any, y: Any) -> Any:
    from torch.nn import functional

    if stolen.task == "regression":
        return functional.mse_loss(margin[:, 0], y.float())
    if stolen.task == "binary":
        return functional.binary_cross_entropy_with_logits(margin[:, 0], y.float())
    return functional.cross_entropy(margin, y.long())
