"""All values of a network as arrays, and back: what checkpoints hold, and the best epoch."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn


def arrays_of(module: nn.Module) -> dict[str, np.ndarray]:
    """Copies of parameters and buffers, by name."""
    return {name: value.detach().numpy().copy() for name, value in module.state_dict().items()}


def restore(module: nn.Module, arrays: Mapping[str, np.ndarray]) -> None:
    """Take what `arrays_of` gave of a module like this."""
    with torch.no_grad():
        for name, value in module.state_dict().items():
            value.copy_(torch.from_numpy(np.asarray(arrays[name])))
