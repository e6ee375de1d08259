"""A small transformer over the words of a text (Vaswani et al. 2017)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from bessemer.train.networks.dropout import Dropout
from bessemer.train.networks.encoders.base import Built, Encoding
from bessemer.train.networks.encoders.layers import HIDDEN, StackSettings, start_transformers

if TYPE_CHECKING:
    from bessemer.core.blocks import Block


class Transformer(Built):
    """Words and their places, a few transformer blocks, and the mean over the words. Places behind the end of a text
    are neither looked at nor counted; a text without words is a vector of zeros.
    """

    KINDS: ClassVar[tuple[str, ...]] = ("tokens",)
    Settings: ClassVar[type[StackSettings]] = StackSettings

    def module(self, source: Block) -> _Module:
        return _Module(source.levels, source.width, self._settings)


class _Module(Encoding):
    def __init__(self, levels: int, length: int, settings: StackSettings) -> None:
        super().__init__()
        dim = settings.dim
        self.words = nn.Embedding(levels, dim, padding_idx=0)
        self.places = nn.Parameter(torch.zeros(length, dim))
        self.dropout = Dropout(settings.dropout)
        self.blocks = settings.blocks(widening=4)
        self.norm = nn.LayerNorm(dim)
        self.dim = dim

    def start(self, generator: torch.Generator) -> None:
        start_transformers(self, generator)
        with torch.no_grad():
            self.places.normal_(0, 0.02, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        there = (x != 0).float()
        mask = ((1 - there) * HIDDEN).unsqueeze(1).unsqueeze(1)
        seen = self.dropout(self.words(x.long()) + self.places)
        for block in self.blocks:
            seen = block(seen, mask)
        words = self.norm(seen) * there.unsqueeze(2)
        return words.sum(1) / there.sum(1, keepdim=True).clamp(min=1.0)
