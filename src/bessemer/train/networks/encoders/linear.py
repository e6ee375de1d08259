"""One linear layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field
from torch import Tensor, nn

from bessemer.train.networks.dropout import Dropout
from bessemer.train.networks.encoders.base import Built, Encoding
from bessemer.train.networks.encoders.weights import Pretrained

if TYPE_CHECKING:
    from bessemer.core.blocks import Block
    from bessemer.train.networks.protocol import Table


class LinearSettings(Pretrained):
    dim: int = Field(64, ge=1, le=8192, description="values of the answer")
    dropout: float = Field(
        0.0, ge=0, lt=1, description="share of the answer's values left out while training"
    )


class Linear(Built):
    """One linear layer: what a pretrained embedding needs, which is the answer of a network already."""

    KINDS: ClassVar[tuple[str, ...]] = ("embedding", "table")
    Settings: ClassVar[type[LinearSettings]] = LinearSettings

    def module(self, source: Block | Table) -> _Module:
        return _Module(source.width, self._settings)


class _Module(Encoding):
    def __init__(self, width: int, settings: LinearSettings) -> None:
        super().__init__()
        self.layer = nn.Linear(width, settings.dim)
        self.dropout = Dropout(settings.dropout)
        self.dim = settings.dim

    def forward(self, x: Tensor) -> Tensor:
        answer: Tensor = self.dropout(self.layer(x))
        return answer
