"""Optimisers: AdamW (`mlp_adam`) and stochastic gradient descent, over parameters that decay and those that do not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import nn

from bessemer.train.learners.mlp_adam import AdamW


class Optimizer(Protocol):
    """Both have these; `rate` and `decay` are asked for each kind of parameter."""

    def step(self, rate: Callable[[str], float], decay: Callable[[str], float]) -> None: ...

    def arrays(self) -> dict[str, np.ndarray]: ...

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None: ...


class SGD:
    """Nesterov's momentum (Sutskever et al. 2013), with decay that is decoupled from it.

    By torch's operators: `torch.optim` imports torch's compiler with its first optimiser, which takes seconds.
    """

    _MOMENTUM = 0.9

    def __init__(self, kinds: Mapping[str, Sequence[nn.Parameter]]) -> None:
        self._kinds = {kind: list(own) for kind, own in kinds.items() if own}
        self._speed = {kind: [torch.zeros_like(p) for p in own] for kind, own in self._kinds.items()}

    def step(self, rate: Callable[[str], float], decay: Callable[[str], float]) -> None:
        """Follow the gradients, and forget them."""
        with torch.no_grad():
            for kind, own in self._kinds.items():
                found = [p.grad if p.grad is not None else torch.zeros_like(p) for p in own]
                torch._foreach_mul_(self._speed[kind], self._MOMENTUM)
                torch._foreach_add_(self._speed[kind], found)
                torch._foreach_add_(found, self._speed[kind], alpha=self._MOMENTUM)
                torch._foreach_mul_(own, 1 - rate(kind) * decay(kind))
                torch._foreach_add_(own, found, alpha=-rate(kind))
                for p in own:
                    p.grad = None

    def arrays(self) -> dict[str, np.ndarray]:
        """Copies of all that is remembered, by name."""
        named = {f"{kind}.{n}": v for kind, own in self._speed.items() for n, v in enumerate(own)}
        return {name: value.numpy().copy() for name, value in named.items()}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take what `arrays` gave."""
        for kind, own in self._speed.items():
            for n, value in enumerate(own):
                value.copy_(torch.from_numpy(arrays[f"{kind}.{n}"]))


def kinds_of(net: nn.Module) -> dict[str, list[nn.Parameter]]:
    """Weights decay; vectors (biases, norms' scales) do not, as is usual."""
    trained = [p for p in net.parameters() if p.requires_grad]
    return {"weight": [p for p in trained if p.dim() > 1], "vector": [p for p in trained if p.dim() <= 1]}


def optimizer_of(name: str, net: nn.Module) -> Optimizer:
    """`adamw` or `sgd`."""
    return AdamW(kinds_of(net)) if name == "adamw" else SGD(kinds_of(net))


def follow(optimizer: Optimizer, rate: float, decay: float) -> None:
    """One step with one rate for all."""
    optimizer.step(lambda kind: rate, lambda kind: decay if kind == "weight" else 0.0)
