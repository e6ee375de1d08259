"""A transformer over the features of a table (Gorishniy et al. 2021, "Revisiting deep learning models for tabular
data").
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from bessemer.core.errors import UsageError
from bessemer.train.networks.encoders.base import Built, Encoding
from bessemer.train.networks.encoders.layers import StackSettings, start_transformers

if TYPE_CHECKING:
    from bessemer.train.networks.protocol import Table

#: Every feature looks at every other: the cost grows with the square of their number.
MOST_FEATURES = 1024


class FTTransformerSettings(StackSettings):
    layers: int = Field(3, ge=1, le=24, description="transformer blocks")
    heads: int = Field(
        8, ge=1, le=32, description="heads of each attention; the next lower number that divides dim"
    )


class FTTransformer(Built):
    """Each feature becomes a vector (its value times one learnt vector, plus another), and a transformer lets them look
    at each other; the answer is what a further vector, which belongs to no feature, has found out. A feature that is
    missing has a vector of its own.
    """

    KINDS: ClassVar[tuple[str, ...]] = ("table",)
    Settings: ClassVar[type[FTTransformerSettings]] = FTTransformerSettings

    def module(self, source: Table) -> _Module:
        if source.features > MOST_FEATURES:
            raise UsageError(
                f"ft_transformer takes {MOST_FEATURES} features at most, and there are {source.features}",
                why="its cost grows with the square of their number",
                fix="say `table_encoder: mlp`, or leave columns out with `prepare: {exclude: [...]}`",
            )
        return _Module(source.features, source.missing, self._settings)


class _Module(Encoding):
    def __init__(self, features: int, missing: tuple[int, ...], settings: FTTransformerSettings) -> None:
        super().__init__()
        dim = settings.dim
        self.features = features
        # The first vector is that of no feature: it is multiplied by 1.
        self.slopes = nn.Parameter(torch.zeros(features + 1, dim))
        self.offsets = nn.Parameter(torch.zeros(features, dim))
        self.has_missing = bool(missing)
        if missing:
            self.unknown = nn.Parameter(torch.zeros(len(missing), dim))
            self.register_buffer("flagged", torch.eye(features)[list(missing)], persistent=False)  # (M, F)
        self.blocks = settings.blocks()
        self.norm = nn.LayerNorm(dim)
        self.dim = dim

    def start(self, generator: torch.Generator) -> None:
        """As the authors do: uniform, as wide as one over the root of the size."""
        start_transformers(self, generator)
        bound = 1 / math.sqrt(self.dim)
        with torch.no_grad():
            for vectors in self.parameters(recurse=False):
                vectors.uniform_(-bound, bound, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        values = functional.pad(x[:, : self.features], (1, 0), value=1.0)
        seen = values.unsqueeze(2) * self.slopes + functional.pad(self.offsets, (0, 0, 1, 0))
        if self.has_missing:
            flags = torch.matmul(x[:, self.features :], self.flagged)
            vectors = torch.matmul(self.flagged.transpose(0, 1), self.unknown)
            seen = seen + functional.pad(flags, (1, 0)).unsqueeze(2) * functional.pad(vectors, (0, 0, 1, 0))
        for block in self.blocks:
            seen = block(seen)
        answer: Tensor = functional.relu(self.norm(seen[:, 0]))
        return answer
