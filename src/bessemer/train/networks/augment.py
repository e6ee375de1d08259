"""Images as they might have been: flipped, moved, turned, cut, mixed; all of it from a step's own seed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from bessemer.core.blocks import Block
from bessemer.train.networks.batch import Batch, Labels, Mixed


@dataclass(frozen=True)
class Augment:
    """What is done to the images of a batch, each with draws of its own.

    flip: left and right change places in half of them.
    shift: up to so many pixels to each side. rotate: up to so many degrees to each side.
    crop: a part is shown as large as the whole; up to this share of the sides is left out.
    cutout: a square of this share of the sides gets the image's mean (DeVries and Taylor 2017).
    mixup: batches are mixed with themselves in another order, in shares from Beta(mixup, mixup) (Zhang et al. 2018).
    """

    flip: bool = False
    shift: int = 0
    rotate: float = 0.0
    crop: float = 0.0
    cutout: float = 0.0
    mixup: float = 0.0

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Augment:
        return cls(**{name: params[name] for name in cls.__dataclass_fields__})

    @property
    def moves(self) -> bool:
        return bool(self.shift or self.rotate or self.crop)

    def apply(self, batch: Batch, blocks: Sequence[Block]) -> Batch:
        """The batch with other pixels; everything else stays."""
        if not (self.flip or self.moves or self.cutout or self.mixup):
            return batch
        images = [b for b in blocks if b.kind == "image"]
        rng = np.random.default_rng([batch.seed, 1])
        if images:
            X = batch.X.clone()
            for block in images:
                own = X[:, block.start : block.stop]
                own.copy_(self._image(own.unflatten(1, block.shape), rng).flatten(1))
            batch = replace(batch, X=X)
        return _mixed(batch, float(rng.beta(self.mixup, self.mixup)), rng) if self.mixup else batch

    def _image(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        """(B, C, H, W) -> the same."""
        if self.flip or self.moves:
            x = _warped(x, self._placements(len(x), x.shape[2:], rng), self.moves)
        return _cut(x, self.cutout, rng) if self.cutout else x

    def _placements(self, count: int, size: Sequence[int], rng: np.random.Generator) -> np.ndarray:
        """(B, 2, 3) float32: from a place in the new image to that in the old one, both from -1 to 1."""
        height, width = size
        sign = np.where(rng.random(count) < 0.5, -1.0, 1.0) if self.flip else np.ones(count)
        angle = np.radians(rng.uniform(-self.rotate, self.rotate, count))
        zoom = 1 - rng.uniform(0, self.crop, count)
        room = (1 - zoom)[:, None] * rng.uniform(-1, 1, (count, 2))
        moved = rng.integers(-self.shift, self.shift + 1, (count, 2)) * (2 / np.array([width, height]))
        ratio = height / width  # a turn is one of pixels, not of shares of the sides
        cos, sin = np.cos(angle) * zoom, np.sin(angle) * zoom
        found = np.empty((count, 2, 3), dtype=np.float32)
        found[:, 0, 0], found[:, 0, 1] = sign * cos, -sin * ratio
        found[:, 1, 0], found[:, 1, 1] = sign * sin / ratio, cos
        found[:, :, 2] = room + moved
        return found


def _warped(x: Tensor, placements: np.ndarray, moves: bool) -> Tensor:
    if not moves:
        flipped = torch.from_numpy(placements[:, 0, 0] < 0)
        return torch.where(flipped[:, None, None, None], x.flip(3), x)
    grid = functional.affine_grid(torch.from_numpy(placements), list(x.shape), align_corners=False)
    return functional.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _cut(x: Tensor, share: float, rng: np.random.Generator) -> Tensor:
    height, width = x.shape[2:]
    sides = math.ceil(share * height), math.ceil(share * width)
    inside = torch.ones(len(x), 1, height, width, dtype=torch.bool)
    for axis, (length, side) in enumerate(zip((height, width), sides, strict=True)):
        first = torch.from_numpy(rng.integers(0, length - side + 1, len(x)))[:, None]
        along = torch.arange(length)[None, :]
        within = (along >= first) & (along < first + side)
        inside &= within[:, None, :, None] if axis == 0 else within[:, None, None, :]
    return torch.where(inside, x.mean(dim=(2, 3), keepdim=True), x)


def _mixed(batch: Batch, share: float, rng: np.random.Generator) -> Batch:
    order = torch.from_numpy(rng.permutation(len(batch)))
    X = share * batch.X + (1 - share) * batch.X[order]
    further = tuple(Labels(own.y[order], own.weight[order]) for own in batch.further)
    return replace(batch, X=X, mixed=Mixed(batch.y[order], batch.weight[order], share, further))
