"""The network of RealMLP (Holzmüller et al. 2024) and the scaling before it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

#: Waves of a number, and how many values they are mixed into; the number itself comes beside them.
WAVES, MIXED = 16, 3
#: Learning rates relative to that of the weights.
LR_FACTORS: Mapping[str, float] = {"weight": 1.0, "bias": 0.1, "slope": 0.1, "scale": 6.0, "wave": 0.1}
#: More numeric features than these enter plain: waves of thousands cost more memory and time than they are worth.
MOST_WAVING = 512
#: Beyond these a value counts as the largest or smallest; the difference of two of them is still a float32.
LARGEST, STEEPEST = np.float32(1e37), np.float32(1e6)
#: Where the smooth clipping levels off.
CLIP = 3.0
#: The quartiles' distance is at least the middle nine tenths over this; for a normal distribution they are 2.4 of it.
_NARROW = 8.0
#: Rows scaled at once.
_BLOCK = 65_536

ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "selu": torch.selu,
    "mish": functional.mish,
    "silu": functional.silu,
    "relu": torch.relu,
}


@dataclass(frozen=True)
class Scaling:
    """Median imputation, robust scaling and smooth clipping (x / sqrt(1 + (x / 3)^2)), then a flag for each feature
    that has missing values.

    median, factor: (F,) float32; the factor is one over the distance of the quartiles. They may be narrow beside the
        middle nine tenths: then most rows have nearly one value, whose small differences are noise. Where they are
        equal it is one over the median distance of the other values (RealMLP takes the extremes, beside which amounts
        that are mostly 0 all look the same), two over that of two values, and 0 for a constant.
    numeric: (F,) bool: features of more than two values.
    missing: (M,) int64: features with a missing value in some rows and none in others; they get a flag.
    """

    median: np.ndarray
    factor: np.ndarray
    numeric: np.ndarray
    missing: np.ndarray

    @property
    def inputs(self) -> np.ndarray:
        """(F + M,) bool: whether an input of the network is a numeric feature."""
        return np.concatenate([self.numeric, np.zeros(len(self.missing), dtype=bool)])

    @classmethod
    def of(cls, X: np.ndarray) -> Scaling:
        """The scaling that rows (N, F) float32 ask for."""
        found = [_scale(X[:, f]) for f in range(X.shape[1])]
        median, factor, numeric, missing = (np.array(column) for column in zip(*found, strict=True))
        return cls(median.astype(np.float32), factor.astype(np.float32), numeric, np.flatnonzero(missing))

    def apply(self, X: np.ndarray) -> Tensor:
        """(N, F) float32 -> (N, F + M) float32 between -3 and 3."""
        scaled = np.empty((len(X), len(self.inputs)), dtype=np.float32)
        for start in range(0, len(X), _BLOCK):
            rows = slice(start, start + _BLOCK)
            self._apply(np.asarray(X[rows]), scaled[rows])
        return torch.from_numpy(scaled)

    def _apply(self, X: np.ndarray, out: np.ndarray) -> None:
        features = X.shape[1]
        unknown = np.isnan(X)
        clipped = np.clip(np.where(unknown, self.median, X), -LARGEST, LARGEST)
        with np.errstate(over="ignore"):
            scaled = np.clip((clipped - self.median) * self.factor, -STEEPEST, STEEPEST)
        out[:, :features] = scaled / np.sqrt(1 + (scaled / np.float32(CLIP)) ** 2)
        out[:, features:] = unknown[:, self.missing]


def _scale(column: np.ndarray) -> tuple[float, float, bool, bool]:
    known = column[np.isfinite(column)].astype(np.float64)
    unknown = int(np.isnan(column).sum())
    if not len(known):
        return 0.0, 0.0, False, 0 < unknown < len(column)
    low, least, first, median, third, most, high = np.quantile(known, (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1))
    numeric = bool(np.any((known != low) & (known != high)))
    if third > first:
        width = max(third - first, (most - least) / _NARROW)
    elif numeric:
        width = np.median(np.abs(known[known != median] - median))
    else:
        width = (high - low) / 2
    factor = 1 / width if width > 0 else 0.0
    return float(np.clip(median, -LARGEST, LARGEST)), min(factor, 1e37), numeric, unknown > 0


class Net(nn.Module):  # type: ignore[misc]
    """Waves of the numeric features, a scale for each input, hidden layers, and the outputs.

    Linear layers have the neural tangent parametrisation: weights of size 1, divided by the root of the number of
    inputs where they are used. Activations are parametric: x + slope * (f(x) - x) with a slope for each unit. The last
    layer starts at 0, so an untrained network says what it is told to add (`prior`).

    Args:
        numeric: (I,) bool, the inputs that get waves; none where the embedding is off or there are too many.
        prior: (K',) float32, added to the outputs.
    """

    def __init__(
        self, numeric: np.ndarray, outputs: int, prior: np.ndarray, params: Mapping[str, Any]
    ) -> None:
        super().__init__()
        self.activation = str(params["activation"])
        self._f = ACTIVATIONS[self.activation]
        waving = np.flatnonzero(numeric)
        if params["embedding"] != "pbld" or len(waving) > MOST_WAVING:
            waving = waving[:0]
        self.register_buffer("waving", torch.from_numpy(waving))
        self.register_buffer("prior", torch.from_numpy(np.asarray(prior, dtype=np.float32)))
        e, hidden = len(waving), [params["hidden_size"]] * params["hidden_layers"]
        self.wave_frequency = nn.Parameter(torch.zeros(e, 1, WAVES))
        self.wave_phase = nn.Parameter(torch.zeros(e, 1, WAVES))
        self.wave_mix = nn.Parameter(torch.zeros(e, WAVES, MIXED))
        self.wave_shift = nn.Parameter(torch.zeros(e, 1, MIXED))
        sizes = [len(numeric) + e * MIXED, *hidden, outputs]
        self.scale = nn.Parameter(torch.ones(sizes[0]))
        self.weights = nn.ParameterList(torch.zeros(a, b) for a, b in pairwise(sizes))
        self.biases = nn.ParameterList(torch.zeros(b) for b in sizes[1:])
        self.slopes = nn.ParameterList(torch.ones(b) for b in hidden)

    def start(self, rows: Tensor, sigma: float, generator: torch.Generator) -> None:
        """First values: every unit has spread 1 on these rows, and bends somewhere among them (he+5)."""
        with torch.no_grad():
            self.wave_frequency.normal_(0, sigma, generator=generator)
            self.wave_phase.uniform_(-math.pi, math.pi, generator=generator)
            for wave in (self.wave_mix, self.wave_shift):
                wave.uniform_(-1 / math.sqrt(WAVES), 1 / math.sqrt(WAVES), generator=generator)
            h = self.embedded(rows) * self.scale
            for weight, bias, slope in zip(self.weights, self.biases, self.slopes, strict=False):
                weight.normal_(generator=generator)
                spread = (h @ weight / math.sqrt(len(weight))).std(dim=0, correction=0)
                weight /= torch.where(spread > 1e-6, spread, torch.ones_like(spread))
                z = h @ weight / math.sqrt(len(weight))
                bias.copy_(_bends(z, generator))
                h = self._bent(z + bias, slope)

    def forward(self, x: Tensor, dropout: float = 0.0, rng: np.random.Generator | None = None) -> Tensor:
        """(N, I) scaled -> (N, K'); with a generator, a share of the hidden units is left out."""
        h = self.embedded(x) * self.scale
        for weight, bias, slope in zip(self.weights, self.biases, self.slopes, strict=False):
            h = self._bent(torch.addmm(bias, h, weight, alpha=1 / math.sqrt(len(weight))), slope)
            if rng is not None:
                h = h * _kept(rng, h.shape, dropout)
        last = self.weights[-1]
        return torch.addmm(self.biases[-1], h, last, alpha=1 / math.sqrt(len(last))) + self.prior

    def embedded(self, x: Tensor) -> Tensor:
        """(N, I) -> (N, I + 3 E): beside the inputs, the mixed waves of E of them (PBLD)."""
        if not len(self.waving):
            return x
        own = x[:, self.waving].T.unsqueeze(-1)
        waves = torch.cos(2 * math.pi * own * self.wave_frequency + self.wave_phase)
        mixed = torch.baddbmm(self.wave_shift, waves, self.wave_mix)
        return torch.cat([x, mixed.transpose(0, 1).flatten(1)], dim=1)

    def _bent(self, z: Tensor, slope: Tensor) -> Tensor:
        return torch.lerp(z, self._f(z), slope)

    def kinds(self) -> dict[str, list[nn.Parameter]]:
        """The parameters by kind."""
        return {
            "weight": list(self.weights),
            "bias": list(self.biases),
            "slope": list(self.slopes),
            "scale": [self.scale],
            "wave": [self.wave_frequency, self.wave_phase, self.wave_mix, self.wave_shift],
        }

    def finite(self) -> bool:
        """Whether every value is a number: a training that ran away leaves none."""
        return all(bool(torch.isfinite(value).all()) for value in self.parameters())

    def arrays(self) -> dict[str, np.ndarray]:
        """Copies of all trained values, by name."""
        return {name: value.detach().numpy().copy() for name, value in self.named_parameters()}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take the values that `arrays` gave."""
        with torch.no_grad():
            for name, value in self.named_parameters():
                value.copy_(torch.from_numpy(arrays[name]))


def _kept(rng: np.random.Generator, shape: Sequence[int], dropout: float) -> Tensor:
    """What dropout multiplies by. A byte for each unit is enough, and made ten times as fast as torch's numbers."""
    left_out = round(dropout * 256)
    kept = rng.integers(0, 256, tuple(shape), dtype=np.uint8) >= left_out
    return torch.from_numpy(kept.astype(np.float32) * np.float32(256 / (256 - left_out)))


def _bends(z: Tensor, generator: torch.Generator) -> Tensor:
    """Minus a random mean of five of each unit's values (he+5; Steinwart 2019, "A sober look at neural network
    initializations").
    """
    units = z.shape[1]
    rows = torch.randint(len(z), (5, units), generator=generator)
    shares = torch.empty(5, units).exponential_(generator=generator)
    chosen = z[rows, torch.arange(units)]
    return -(chosen * shares / shares.sum(dim=0)).sum(dim=0)
