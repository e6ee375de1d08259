"""AdamW (Loshchilov and Hutter 2019) by torch's fused operator.

`torch.optim` imports torch's compiler with its first optimiser, which takes seconds and is of no use here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

_BETAS, _EPSILON = (0.9, 0.95), 1e-8


class AdamW:
    """The moments of some parameters.

    kinds: the parameters by kind; each kind has a learning rate and a decay of its own.
    """

    def __init__(self, kinds: Mapping[str, Sequence[nn.Parameter]]) -> None:
        self._kinds = {kind: list(own) for kind, own in kinds.items() if own}
        self._mean = {kind: [torch.zeros_like(p) for p in own] for kind, own in self._kinds.items()}
        self._square = {kind: [torch.zeros_like(p) for p in own] for kind, own in self._kinds.items()}
        self._steps = {kind: [torch.zeros(()) for _ in own] for kind, own in self._kinds.items()}

    def step(self, rate: Callable[[str], float], decay: Callable[[str], float]) -> None:
        """Follow the gradients, and forget them."""
        with torch.no_grad():
            for kind, own in self._kinds.items():
                gradients: list[Tensor] = [p.grad if p.grad is not None else torch.zeros_like(p) for p in own]
                torch._foreach_add_(self._steps[kind], 1.0)
                torch.ops.aten._fused_adamw_(
                    own, gradients, self._mean[kind], self._square[kind], [], self._steps[kind],
                    lr=rate(kind), beta1=_BETAS[0], beta2=_BETAS[1], weight_decay=decay(kind), eps=_EPSILON,
                    amsgrad=False, maximize=False,
                )  # fmt: skip
                for p in own:
                    p.grad = None

    def arrays(self) -> dict[str, np.ndarray]:
        """Copies of all that is remembered, by name."""
        return {name: value.numpy().copy() for name, value in self._named()}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take what `arrays` gave."""
        for name, value in self._named():
            value.copy_(torch.from_numpy(arrays[name]))

    def _named(self) -> list[tuple[str, Tensor]]:
        parts = {"mean": self._mean, "square": self._square, "steps": self._steps}
        return [
            (f"{part}.{kind}.{number}", value)
            for part, kinds in parts.items()
            for kind, values in kinds.items()
            for number, value in enumerate(values)
        ]
