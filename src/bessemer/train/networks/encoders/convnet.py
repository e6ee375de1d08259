"""A few convolutions for small images."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from bessemer.train.networks.dropout import Dropout
from bessemer.train.networks.encoders.base import Built, Encoding
from bessemer.train.networks.encoders.layers import conv, groups_of
from bessemer.train.networks.encoders.weights import Pretrained

if TYPE_CHECKING:
    from bessemer.core.blocks import Block

#: An image is not made smaller than this.
_SMALLEST = 2


class ConvNetSettings(Pretrained):
    width: int = Field(
        32, ge=1, le=1024, description="channels of the first stage; each next one has twice as many"
    )
    stages: int = Field(
        3, ge=1, le=6, description="pairs of convolutions, each before a halving; fewer on tiny images"
    )
    dropout: float = Field(
        0.1, ge=0, lt=1, description="share of the answer's values left out while training"
    )


class ConvNet(Built):
    """Stages of two 3x3 convolutions, each with a group norm and ReLU, and a halving; what is left is averaged in
    four quarters, so that it is still known where something was.
    """

    KINDS: ClassVar[tuple[str, ...]] = ("image",)
    Settings: ClassVar[type[ConvNetSettings]] = ConvNetSettings

    def module(self, source: Block) -> _Module:
        return _Module(source.shape, self._settings)


class _Module(Encoding):
    def __init__(self, shape: tuple[int, ...], settings: ConvNetSettings) -> None:
        super().__init__()
        self.channels, height, width = shape
        self.size = (height, width)
        stages, inputs = [], self.channels
        for i in range(settings.stages):
            outputs = settings.width * 2**i
            halved = min(height, width) >= 2 * _SMALLEST
            stages.append(_Stage(inputs, outputs, halved))
            inputs = outputs
            if not halved:
                break
            height, width = height // 2, width // 2
        self.stages = nn.Sequential(*stages)
        parts = [min(2, size) for size in (height, width)]
        self.quarters = nn.AvgPool2d(*_windows(height, width))
        self.dropout = Dropout(settings.dropout)
        self.dim = inputs * parts[0] * parts[1]

    def forward(self, x: Tensor) -> Tensor:
        made = self.stages(x.reshape(-1, self.channels, *self.size))
        answer: Tensor = self.dropout(self.quarters(made).flatten(1))
        return answer


def _windows(height: int, width: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Size and distance of the windows of which two cover each axis (they share a line where it is odd).

    >>> _windows(8, 7), _windows(1, 2)
    (((4, 4), (4, 3)), ((1, 1), (1, 1)))
    """
    size = (height + 1) // 2, (width + 1) // 2
    return size, (max(1, height // 2), max(1, width // 2))


class _Stage(nn.Module):  # type: ignore[misc]
    def __init__(self, inputs: int, outputs: int, halved: bool) -> None:
        super().__init__()
        self.conv1, self.norm1 = conv(inputs, outputs), nn.GroupNorm(groups_of(outputs), outputs)
        self.conv2, self.norm2 = conv(outputs, outputs), nn.GroupNorm(groups_of(outputs), outputs)
        self.pool = nn.MaxPool2d(2) if halved else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.norm1(self.conv1(x)))
        pooled: Tensor = self.pool(functional.relu(self.norm2(self.conv2(x))))
        return pooled
