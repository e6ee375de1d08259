"""Hidden layers for tables and embeddings, with the ideas of RealMLP (Holzmüller et al. 2024) for tables."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from bessemer.train.learners.mlp_net import MIXED, MOST_WAVING, WAVES
from bessemer.train.networks.dropout import Dropout
from bessemer.train.networks.encoders.base import Built, Encoding
from bessemer.train.networks.encoders.weights import Pretrained
from bessemer.train.networks.protocol import Table

if TYPE_CHECKING:
    from bessemer.core.blocks import Block


class MLPSettings(Pretrained):
    size: int = Field(256, ge=1, le=8192, description="units of each hidden layer")
    layers: int = Field(2, ge=1, le=16, description="hidden layers")
    dropout: float = Field(0.15, ge=0, lt=1, description="share of the hidden units left out while training")
    embedding: Literal["pbld", "none"] = Field(
        "pbld",
        description="how a table's number enters: beside four of its own learnt periodic waves, or plain",
    )
    sigma: float = Field(0.1, gt=0, le=100, description="spread of the waves' first frequencies")


class MLP(Built):
    """A learnt scale for each input, waves beside the numbers of a table, and layers of units that learn how much
    they bend.
    """

    KINDS: ClassVar[tuple[str, ...]] = ("table", "embedding")
    Settings: ClassVar[type[MLPSettings]] = MLPSettings

    def module(self, source: Block | Table) -> _Module:
        waving = [i for i, many in enumerate(source.numeric) if many] if isinstance(source, Table) else []
        if self._settings.embedding == "none" or len(waving) > MOST_WAVING:
            waving = []
        return _Module(source.width, waving, self._settings)


class _Module(Encoding):
    def __init__(self, width: int, waving: list[int], settings: MLPSettings) -> None:
        super().__init__()
        self.waves = Waves(waving) if waving else nn.Identity()
        self._sigma = settings.sigma
        inputs = width + MIXED * len(waving)
        self.scale = nn.Parameter(torch.ones(inputs))
        sizes = [inputs, *[settings.size] * settings.layers]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))
        self.slopes = nn.ParameterList(torch.ones(b) for b in sizes[1:])
        self.dropout = Dropout(settings.dropout)
        self.dim = settings.size

    def start(self, generator: torch.Generator) -> None:
        if isinstance(self.waves, Waves):
            self.waves.start(self._sigma, generator)

    def forward(self, x: Tensor) -> Tensor:
        h = self.waves(x) * self.scale
        for layer, slope in zip(self.layers, self.slopes, strict=True):
            z = layer(h)
            h = self.dropout(z + slope * (functional.silu(z) - z))
        return h


class Waves(nn.Module):  # type: ignore[misc]
    """(N, I) -> (N, I + 3 E): beside the inputs, the mixed waves of E of them (PBLD of RealMLP)."""

    def __init__(self, waving: list[int]) -> None:
        super().__init__()
        self.waving = waving
        e = len(waving)
        self.frequency = nn.Parameter(torch.zeros(e, 1, WAVES))
        self.phase = nn.Parameter(torch.zeros(e, 1, WAVES))
        self.mix = nn.Parameter(torch.zeros(e, WAVES, MIXED))
        self.shift = nn.Parameter(torch.zeros(e, 1, MIXED))

    def start(self, sigma: float, generator: torch.Generator) -> None:
        """Frequencies around 0 with spread `sigma`, any phase."""
        with torch.no_grad():
            self.frequency.normal_(0, sigma, generator=generator)
            self.phase.uniform_(-math.pi, math.pi, generator=generator)
            for some in (self.mix, self.shift):
                some.uniform_(-1 / math.sqrt(WAVES), 1 / math.sqrt(WAVES), generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        own = x[:, self.waving].transpose(0, 1).unsqueeze(2)
        waves = torch.cos(own * (2 * math.pi * self.frequency) + self.phase)
        mixed = torch.matmul(waves, self.mix) + self.shift
        return torch.cat([x, mixed.transpose(0, 1).flatten(1)], dim=1)
