"""First values of torch's own layers, from a generator that is given."""

from __future__ import annotations

import torch
from torch import nn


def start(module: nn.Module, generator: torch.Generator) -> None:
    """Draw the weights of every layer in `module` anew, in the order in which they stand in it.

    Convolutions and linear layers: normal, He et al. (2015) by the inputs of a unit; biases 0. Embeddings: normal with
    spread 0.02 and 0 for the padding. Norms: 1 and 0. Parameters of other modules are theirs to fill.

    >>> layer = nn.Linear(2, 1)
    >>> start(layer, torch.Generator().manual_seed(7))
    >>> [round(value, 3) for value in layer.weight[0].tolist()], layer.bias.tolist()
    ([-0.147, 0.786], [0.0])
    """
    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Linear):
                inputs = layer.weight[0].numel()
                layer.weight.normal_(0, (2 / inputs) ** 0.5, generator=generator)
                if layer.bias is not None:
                    layer.bias.zero_()
            elif isinstance(layer, nn.Embedding):
                layer.weight.normal_(0, 0.02, generator=generator)
                if layer.padding_idx is not None:
                    layer.weight[layer.padding_idx].zero_()
            elif isinstance(layer, nn.GroupNorm | nn.LayerNorm):
                if layer.weight is not None:
                    layer.weight.fill_(1.0)
                if layer.bias is not None:
                    layer.bias.zero_()
