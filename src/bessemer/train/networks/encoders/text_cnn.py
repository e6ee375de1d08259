"""Convolutions over words (Kim 2014, "Convolutional neural networks for sentence classification")."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from bessemer.train.networks.dropout import Dropout
from bessemer.train.networks.encoders.base import Built, Encoding
from bessemer.train.networks.encoders.weights import Pretrained

if TYPE_CHECKING:
    from bessemer.core.blocks import Block


class TextCNNSettings(Pretrained):
    dim: int = Field(64, ge=1, le=2048, description="values of each word")
    filters: int = Field(64, ge=1, le=2048, description="patterns of each length")
    lengths: tuple[int, ...] = Field(
        (3, 4, 5), min_length=1, max_length=8, strict=False, description="words of a pattern"
    )
    dropout: float = Field(
        0.3, ge=0, lt=1, description="share of the answer's values left out while training"
    )


class TextCNN(Built):
    """Patterns of a few words each; the answer is how strongly each occurs anywhere in the text. What stands behind the
    end of a text is nothing: more padding changes no answer.
    """

    KINDS: ClassVar[tuple[str, ...]] = ("tokens",)
    Settings: ClassVar[type[TextCNNSettings]] = TextCNNSettings

    def module(self, source: Block) -> _Module:
        return _Module(source.levels, self._settings)


class _Module(Encoding):
    def __init__(self, levels: int, settings: TextCNNSettings) -> None:
        super().__init__()
        self.words = nn.Embedding(levels, settings.dim, padding_idx=0)
        # Every pattern has a window without words before the text, so that padding behind it adds nothing new.
        self.patterns = nn.ModuleList(
            nn.Conv1d(settings.dim, settings.filters, length, padding=length) for length in settings.lengths
        )
        self.dropout = Dropout(settings.dropout)
        self.dim = settings.filters * len(settings.lengths)

    def start(self, generator: torch.Generator) -> None:
        with torch.no_grad():
            self.words.weight.mul_(5)  # spread 0.1: patterns then see words from the first step on

    def forward(self, x: Tensor) -> Tensor:
        words = self.words(x.long()).transpose(1, 2)
        found = [functional.relu(pattern(words)).amax(2) for pattern in self.patterns]
        answer: Tensor = self.dropout(torch.cat(found, dim=1))
        return answer
