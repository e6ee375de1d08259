"""Residual networks (He et al. 2016, "Deep residual learning for image recognition")."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from bessemer.train.networks.encoders.base import Built, Encoding
from bessemer.train.networks.encoders.layers import conv, groups_of
from bessemer.train.networks.encoders.weights import Pretrained

if TYPE_CHECKING:
    from bessemer.core.blocks import Block

#: Residual blocks of each of the four stages, by depth.
BLOCKS: Mapping[int, tuple[int, int, int, int]] = {10: (1, 1, 1, 1), 18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
#: Images of fewer pixels a side keep their size at first: a stem for photographs would leave nothing of them.
_PHOTO = 96

Norm = Callable[[int], nn.Module]


class ResNetSettings(Pretrained):
    depth: Literal[10, 18, 34] = Field(18, description="weighted layers")
    width: int = Field(
        64, ge=1, le=512, description="channels of the first stage; each next one has twice as many"
    )
    stem: Literal["auto", "small", "photo"] = Field(
        "auto",
        description="`small`: a 3x3 convolution, `photo`: the original's 7x7 with a halving and a pooling; auto is "
        "photo from 96 pixels a side on, and with frozen norms",
    )
    norm: Literal["group", "frozen"] = Field(
        "group",
        description="`group`: of a row's own values (Wu and He 2018). `frozen`: by the means and variances that stand "
        "in the weights, as networks with batch norm are fine-tuned",
    )

    @model_validator(mode="after")
    def _has_statistics(self) -> ResNetSettings:
        if self.norm == "frozen" and self.weights is None:
            raise ValueError("norm: frozen takes its means and variances from `weights`: say where they are")
        return self


class ResNet(Built):
    """ResNet-10, 18 or 34 with basic blocks. Its parameters are named as torchvision names them, so its state dicts fit
    (with `norm: frozen`, `width: 64` and three channels); the classifier `fc` is left out.
    """

    KINDS: ClassVar[tuple[str, ...]] = ("image",)
    Settings: ClassVar[type[ResNetSettings]] = ResNetSettings
    UNUSED: ClassVar[tuple[str, ...]] = ("fc.", "num_batches_tracked")

    def module(self, source: Block) -> _Module:
        return _Module(source.shape, self._settings)


class _FrozenNorm(nn.Module):  # type: ignore[misc]
    """Batch norm whose means and variances stay those of the weights; the graph gets one product and one sum."""

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        scale = self.weight * (self.running_var + self.eps) ** -0.5
        shift = self.bias - self.running_mean * scale
        return x * scale.reshape(1, -1, 1, 1) + shift.reshape(1, -1, 1, 1)


def _group_norm(channels: int) -> nn.Module:
    return nn.GroupNorm(groups_of(channels, 16), channels)


class _Module(Encoding):
    def __init__(self, shape: tuple[int, ...], settings: ResNetSettings) -> None:
        super().__init__()
        self.channels, *self.size = shape
        norm: Norm = _group_norm if settings.norm == "group" else _FrozenNorm
        width = settings.width
        photo = settings.stem == "photo" or (
            settings.stem == "auto" and (settings.norm == "frozen" or min(self.size) >= _PHOTO)
        )
        self.conv1 = conv(self.channels, width, 7, 2) if photo else conv(self.channels, width)
        self.bn1 = norm(width)
        self.maxpool = nn.MaxPool2d(3, 2, 1) if photo else nn.Identity()
        inputs = width
        for i, blocks in enumerate(BLOCKS[settings.depth]):
            outputs, stride = width * 2**i, 1 if i == 0 else 2
            rest = [_Block(outputs, outputs, 1, norm) for _ in range(blocks - 1)]
            self.add_module(f"layer{i + 1}", nn.Sequential(_Block(inputs, outputs, stride, norm), *rest))
            inputs = outputs
        self.dim = inputs

    def start(self, generator: torch.Generator) -> None:
        """Blocks start as their way around (Goyal et al. 2017): deep networks then begin like shallow ones."""
        for block in self.modules():
            if isinstance(block, _Block):
                nn.init.zeros_(block.bn2.weight)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.bn1(self.conv1(x.reshape(-1, self.channels, *self.size))))
        x = self.layer2(self.layer1(self.maxpool(x)))
        x = self.layer4(self.layer3(x))
        return x.mean((2, 3))


class _Block(nn.Module):  # type: ignore[misc]
    def __init__(self, inputs: int, outputs: int, stride: int, norm: Norm) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(inputs, outputs, stride=stride), norm(outputs)
        self.conv2, self.bn2 = conv(outputs, outputs), norm(outputs)
        same = stride == 1 and inputs == outputs
        self.downsample = (
            nn.Identity()
            if same
            else nn.Sequential(conv(inputs, outputs, 1, stride, padding=0), norm(outputs))
        )

    def forward(self, x: Tensor) -> Tensor:
        changed = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        return functional.relu(changed + self.downsample(x))
