"""What the encoders here share: settings are kept, first values drawn, pretrained weights put in their place."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import nn

from bessemer.train.networks.encoders.weights import Pretrained, fill
from bessemer.train.networks.initial import start


class Encoding(nn.Module):  # type: ignore[misc]
    """An encoder's module: (N, width) float32 -> (N, dim) float32."""

    dim: int

    def start(self, generator: torch.Generator) -> None:
        """Draw the first values that are not those of `networks.initial.start`."""


class Built:
    """An encoder that says in `module` what it is made of (see `protocol.Encoder`).

    UNUSED: how names in a file of weights may begin or end that the module has no place for.
    """

    KINDS: ClassVar[tuple[str, ...]]
    Settings: ClassVar[type[Pretrained]]
    UNUSED: ClassVar[tuple[str, ...]] = ()

    def __init__(self, settings: Any) -> None:
        self._settings = settings

    def module(self, source: Any) -> Encoding:
        """The module before its first values.

        Raises:
            UsageError: the input is none for it.
        """
        raise NotImplementedError

    def build(self, source: Any, generator: torch.Generator) -> Encoding:
        """See `protocol.Encoder.build`."""
        module = self.module(source)
        start(module, generator)
        module.start(generator)
        return fill(module, self._settings.weights, self.UNUSED)
