"""A compact vision transformer (Hassani et al. 2021, "Escaping the big data paradigm with compact transformers")."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from bessemer.train.networks.encoders.base import Built, Encoding
from bessemer.train.networks.encoders.layers import StackSettings, conv, start_transformers

if TYPE_CHECKING:
    from bessemer.core.blocks import Block

#: The stem halves an image until it has no more places than this.
_PLACES = 64


class ViTSettings(StackSettings):
    layers: int = Field(4, ge=1, le=24, description="transformer blocks")
    stem: int | None = Field(
        None,
        ge=1,
        le=6,
        description="convolutions before the transformer, each with a halving; as many as leave 64 places at most",
    )


class ViT(Built):
    """Convolutions make places of an image, a transformer lets them look at each other, and a learnt attention over
    places gives the answer: a vision transformer that learns from thousands of images rather than millions.
    """

    KINDS: ClassVar[tuple[str, ...]] = ("image",)
    Settings: ClassVar[type[ViTSettings]] = ViTSettings

    def module(self, source: Block) -> _Module:
        return _Module(source.shape, self._settings)


def halvings(height: int, width: int) -> int:
    """How often an image is halved until it has few enough places.

    >>> halvings(8, 8), halvings(28, 28), halvings(224, 224)
    (1, 2, 5)
    """
    times = 1
    while (height >> times) * (width >> times) > _PLACES:
        times += 1
    return times


class _Module(Encoding):
    def __init__(self, shape: tuple[int, ...], settings: ViTSettings) -> None:
        super().__init__()
        self.channels, *self.size = shape
        dim, (height, width) = settings.dim, self.size
        stem, inputs = [], self.channels
        for _ in range(settings.stem or halvings(height, width)):
            halved = min(height, width) >= 2
            stem += [conv(inputs, dim, bias=True), nn.ReLU(), nn.MaxPool2d(2) if halved else nn.Identity()]
            height, width = (height // 2, width // 2) if halved else (height, width)
            inputs = dim
        self.stem = nn.Sequential(*stem)
        self.places = nn.Parameter(torch.zeros(height * width, dim))
        self.blocks = settings.blocks()
        self.norm, self.look = nn.LayerNorm(dim), nn.Linear(dim, 1)
        self.dim = dim

    def start(self, generator: torch.Generator) -> None:
        start_transformers(self, generator)
        with torch.no_grad():
            self.places.normal_(0, 0.02, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        made = self.stem(x.reshape(-1, self.channels, *self.size))
        x = made.flatten(2).transpose(1, 2) + self.places
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        share = functional.softmax(self.look(x), dim=1)
        return (share * x).sum(1)
