"""From the training matrix to what encoders get: columns are parted, scaled, and missing values filled."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np
import torch
from torch import Tensor, nn

from bessemer.core.blocks import Block
from bessemer.train.learners.mlp_net import CLIP, LARGEST, STEEPEST, Scaling
from bessemer.train.networks.protocol import Table
from bessemer.train.networks.squeeze import Squeeze

Source = Block | Table
#: Rows and values that scaling looks at.
_ROWS, _VALUES = 65_536, 2**25

#: No pixel and no value of an embedding counts as farther from its mean, in spreads.
_FARTHEST = 1000.0


def sampled(X: np.ndarray, seed: int) -> np.ndarray:
    """Some rows (M, F) of X in memory, in their order; X may be mapped from disk."""
    most = max(1, min(_ROWS, _VALUES // max(1, X.shape[1])))
    if len(X) <= most:
        return np.asarray(X)
    rows = np.sort(np.random.default_rng([seed, len(X)]).choice(len(X), most, replace=False))
    return np.asarray(X[rows])


class Pixels(nn.Module):  # type: ignore[misc]
    """Each channel with mean 0 and spread 1; a missing pixel is the mean."""

    def __init__(self, block: Block, rows: np.ndarray) -> None:
        super().__init__()
        self.shape = block.shape[0], block.width // block.shape[0]
        by_channel = rows.reshape(-1, *self.shape).astype(np.float64)
        mean, spread = _moments(by_channel, (0, 2))
        self.register_buffer("mean", _column(mean))
        self.register_buffer("factor", _column(1 / spread))

    def forward(self, x: Tensor) -> Tensor:
        by_channel = (x.reshape(-1, *self.shape) - self.mean) * self.factor
        return _filled(by_channel).clamp(-_FARTHEST, _FARTHEST).flatten(1)


class Ids(nn.Module):  # type: ignore[misc]
    """Ids as they are; what is missing or no id is padding."""

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.most = float(max(0, block.levels - 1))

    def forward(self, x: Tensor) -> Tensor:
        return _filled(x).clamp(0.0, self.most)


class Values(nn.Module):  # type: ignore[misc]
    """Each value with mean 0 and spread 1; a missing one is the mean."""

    def __init__(self, rows: np.ndarray) -> None:
        super().__init__()
        mean, spread = _moments(rows.astype(np.float64), (0,))
        self.register_buffer("mean", torch.from_numpy(mean.astype(np.float32)))
        self.register_buffer("factor", torch.from_numpy((1 / spread).astype(np.float32)))

    def forward(self, x: Tensor) -> Tensor:
        return _filled((x - self.mean) * self.factor).clamp(-_FARTHEST, _FARTHEST)


class Features(nn.Module):  # type: ignore[misc]
    """A table's features, scaled as RealMLP scales them (`mlp_net.Scaling`), and flags for missing values."""

    def __init__(self, scaling: Scaling) -> None:
        super().__init__()
        self.register_buffer("median", torch.from_numpy(scaling.median))
        self.register_buffer("factor", torch.from_numpy(scaling.factor))
        self.missing = [int(f) for f in scaling.missing]

    def forward(self, x: Tensor) -> Tensor:
        unknown = torch.isnan(x)
        known = torch.where(unknown, self.median, x).clamp(-float(LARGEST), float(LARGEST))
        scaled = ((known - self.median) * self.factor).clamp(-float(STEEPEST), float(STEEPEST))
        scaled = scaled / torch.sqrt(1 + (scaled / CLIP) ** 2)
        if not self.missing:
            return scaled
        return torch.cat([scaled, unknown[:, self.missing].float()], dim=1)


class Inputs(nn.Module):  # type: ignore[misc]
    """(N, F) float32 with NaN -> a tensor (N, width) for each source: the blocks in their order, then the table.

    bits: what a pixel is rounded to; 0 for no rounding.
    """

    def __init__(self, blocks: Sequence[Block], rows: np.ndarray, bits: int = 0) -> None:
        super().__init__()
        self.spans: list[list[tuple[int, int]]] = [[(b.start, b.stop)] for b in blocks]
        self.sources: list[Source] = list(blocks)
        self.baseline = np.full(rows.shape[1], np.nan, dtype=np.float32)  #: an ordinary row, NaN allowed
        self.scales = nn.ModuleList()
        for block in blocks:
            own = rows[:, block.start : block.stop]
            self.scales.append(_scale_of(block, own, bits))
            self.baseline[block.start : block.stop] = 0.0 if block.kind == "tokens" else _mean(own)
        if table := _outside(blocks, rows.shape[1]):
            scaling = Scaling.of(rows[:, table])
            self.scales.append(Features(scaling))
            self.sources.append(Table(tuple(map(bool, scaling.numeric)), tuple(map(int, scaling.missing))))
            self.spans.append(_runs(table))
            known = np.isfinite(rows[:, table]).any(axis=0)
            self.baseline[table] = np.where(known, scaling.median, np.nan)

    def forward(self, X: Tensor) -> list[Tensor]:
        parts = [[X[:, start:stop] for start, stop in spans] for spans in self.spans]
        whole = [part[0] if len(part) == 1 else torch.cat(part, dim=1) for part in parts]
        return [scale(x) for scale, x in zip(self.scales, whole, strict=True)]


def _scale_of(block: Block, rows: np.ndarray, bits: int) -> nn.Module:
    if block.kind == "image":
        return nn.Sequential(Squeeze(bits), Pixels(block, rows)) if bits else Pixels(block, rows)
    return Ids(block) if block.kind == "tokens" else Values(rows)


def _outside(blocks: Sequence[Block], features: int) -> list[int]:
    """The features of no block."""
    inside = {f for block in blocks for f in range(block.start, block.stop)}
    return [f for f in range(features) if f not in inside]


def _runs(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """
    >>> _runs([0, 1, 5, 6, 7])
    [(0, 2), (5, 8)]
    """
    groups = groupby(enumerate(numbers), key=lambda at: at[1] - at[0])
    found = [[number for _, number in group] for _, group in groups]
    return [(run[0], run[-1] + 1) for run in found]


def _moments(values: np.ndarray, axes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and spread of the known values; 0 and 1 where there are none, a spread of 1 where all are one value."""
    known = np.isfinite(values)
    count = np.maximum(known.sum(axis=axes), 1)
    mean = np.where(known, values, 0).sum(axis=axes) / count
    away = values - np.expand_dims(mean, axes)
    spread = np.sqrt((np.where(known, away, 0) ** 2).sum(axis=axes) / count)
    return mean, np.where(spread > 1e-8, spread, 1.0)


def _mean(rows: np.ndarray) -> np.ndarray:
    return _moments(rows.astype(np.float64), (0,))[0].astype(np.float32)


def _column(values: np.ndarray) -> Tensor:
    return torch.from_numpy(values.astype(np.float32)[:, None])


def _filled(x: Tensor) -> Tensor:
    return torch.where(torch.isnan(x), 0.0, x)
