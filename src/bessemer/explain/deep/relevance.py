"""captum's layer-wise relevance propagation, past layers that only move numbers about."""

from __future__ import annotations

from captum.attr import LRP
from torch import nn

_SHAPES = (nn.Flatten, nn.Unflatten, nn.Identity)


class Relevance(LRP):  # type: ignore[misc]
    """captum wants a rule for every layer; these hand on relevance as they hand on numbers, which autograd does."""

    def _get_layers(self, model: nn.Module) -> None:
        self.layers: list[nn.Module] = [
            layer
            for layer in model.modules()
            if not list(layer.children()) and layer is not model and not isinstance(layer, _SHAPES)
        ]
