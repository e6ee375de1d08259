"""What an attack on a network may move, and in which unit.

Of a model that looks at images it is the pixels, between 0 and 1; of a table its numbers, in standard deviations of
the training rows, within what those hold. All else stays as it is: categories, flags, texts, and whatever is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from bessemer.attack.protocol import Victim

Norm = str
Floats32 = npt.NDArray[np.float32]

#: Training rows that spread and bounds are taken from.
_ROWS = 100_000


@dataclass(frozen=True)
class Surface:
    """Some columns of the matrix. In the unit of the attack a value is `(x - centre) / scale`, from `low` to `high`.

    places: (M,) int64. centre, scale, low, high: (M,) float32. features: F. image: (C, H, W) where the matrix is one
    image and nothing else, else None. unit: what 1 is, in words. step: (M,) of a value itself, where it moves by whole
    steps only (whole numbers, levels of a pixel), 0 where it is free; None where all are.

    >>> one = np.ones(1, dtype=np.float32)
    >>> surface = Surface(np.array([1]), 2 * one, one * 0.5, -one, one, 3, None, "standard deviations")
    >>> surface.placed(np.zeros((1, 3), dtype=np.float32), np.array([[4.0]], dtype=np.float32)).tolist()
    [[0.0, 2.5, 0.0]]
    """

    places: npt.NDArray[np.int64]
    centre: Floats32
    scale: Floats32
    low: Floats32
    high: Floats32
    features: int
    image: tuple[int, int, int] | None
    unit: str
    step: Floats32 | None = None

    @property
    def pixels(self) -> bool:
        return self.unit.startswith("pixel")

    @cached_property
    def whole(self) -> bool:
        """Whether nothing of a row stays as it is."""
        return len(self.places) == self.features

    def moved(self, X: Floats32) -> Floats32:
        """(N, F) features -> (N, M) in the attack's unit; 0 where a value is missing."""
        found = (X[:, self.places] - self.centre) / self.scale
        return np.where(np.isfinite(found), found, 0).astype(np.float32)

    def placed(self, base: Floats32, moved: Floats32) -> Floats32:
        """Rows (N, F), or one (1, F) for all, with moved values (N, M) in their places; what is missing stays so."""
        found = np.broadcast_to(base, (len(moved), base.shape[1])).copy()
        values = np.clip(moved, self.low, self.high) * self.scale + self.centre
        own = found[:, self.places]
        if self.step is not None:
            values = self._stepped(own, values)
        found[:, self.places] = np.where(np.isfinite(own), values, own)
        return found

    def _stepped(self, own: Floats32, values: Floats32) -> Floats32:
        """Values as whole steps from a row's own, back towards it, so that no budget is passed."""
        assert self.step is not None
        step = np.where(self.step > 0, self.step, 1)
        by = np.trunc((values - own) / step * (1 + 1e-4)) * step
        return np.where(self.step > 0, own + by, values).astype(np.float32)

    def distance(self, before: Floats32, after: Floats32, norm: Norm) -> npt.NDArray[np.float64]:
        """How far each row was moved: (N, F) twice -> (N,)."""
        by = (self.moved(after) - self.moved(before)).astype(np.float64)
        far: npt.NDArray[np.float64] = np.linalg.norm(by, np.inf if norm == "l_inf" else 2, axis=1)
        return far


def surface_of(victim: Victim) -> Surface | None:
    """What may be moved of the victim's rows; None where there is nothing."""
    features = len(victim.features)
    steps = np.array([one.get("step", 0) for one in victim.features], dtype=np.float32)
    images = [block for block in victim.blocks if block.kind == "image"]
    if images:
        places = np.concatenate([np.arange(block.start, block.stop) for block in images])
        one, zero = np.ones(len(places), dtype=np.float32), np.zeros(len(places), dtype=np.float32)
        alone = len(places) == features and len(images) == 1
        channels, height, width = images[0].shape
        image = (channels, height, width) if alone else None
        return Surface(
            places, zero, one, zero, one, features, image, "pixel values, of 1", _some(steps[places])
        )
    numbers = [i for i, one in enumerate(victim.features) if one["kind"] == "number"]
    places = np.array(numbers, dtype=np.int64)
    return _of_table(victim, places, features, steps) if len(places) else None


def _some(steps: Floats32) -> Floats32 | None:
    return steps if steps.any() else None


def _of_table(
    victim: Victim, places: npt.NDArray[np.int64], features: int, steps: Floats32
) -> Surface | None:
    X = np.load(victim.splits.path("train.X.npy"), mmap_mode="r", allow_pickle=False)
    rows = np.unique(np.linspace(0, len(X) - 1, min(len(X), _ROWS)).astype(np.int64))
    values = np.asarray(X[rows][:, places], dtype=np.float64)
    values[~np.isfinite(values)] = np.nan
    spread = np.array([np.nanstd(column) if np.isfinite(column).any() else 0.0 for column in values.T])
    places, values, spread = places[spread > 0], values[:, spread > 0], spread[spread > 0]
    if not len(places):
        return None
    centre = np.nanmean(values, axis=0)
    low, high = ((f(values, axis=0) - centre) / spread for f in (np.nanmin, np.nanmax))
    centre, spread, low, high = (part.astype(np.float32) for part in (centre, spread, low, high))
    unit, step = "standard deviations", _some(steps[places])
    return Surface(places, centre, spread, low, high, features, None, unit, step)
