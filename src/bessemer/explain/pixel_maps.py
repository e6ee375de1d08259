"""Pictures of images and of what their pixels add, small enough for a page."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from bessemer.explain.sample import Floats

#: Parts are told in so many steps for and against.
STEPS = 127


def pixel_map(pixels: npt.NDArray[np.float32], parts: Floats, size: int) -> dict[str, Any]:
    """An image and the parts of its pixels, as JSON: `shape` [channels, height, width], `image` (0 to 255, channels
    first), `map` (height x width whole numbers, the channels added up), `scale`: what 1 in the map is, and exactly,
    over all pixels as they are: `raised` and `lowered`, the sums of the parts above 0 and below, and `part`, all of it.

    Args:
        pixels: (C, H, W), 0 to 1. parts: (C, H, W).
        size: the longest side; of a larger image, windows of pixels become one: their mean, and the sum of their parts.

    >>> found = pixel_map(np.ones((1, 2, 2), np.float32), np.array([[[0, 1], [-2, 0]]]), 64)
    >>> found["map"], round(found["scale"], 4), found["raised"], found["lowered"], found["part"]
    ([0, 64, -127, 0], 0.0157, 1.0, -2.0, -1.0)
    """
    window = math.ceil(max(pixels.shape[1:]) / size)
    seen = _windows(pixels.astype(np.float64), window, np.nanmean)
    by_pixel = parts.sum(axis=0, keepdims=True)
    added = _windows(by_pixel, window, np.nansum)[0]
    scale = float(np.abs(added).max(initial=0.0)) / STEPS
    steps = np.rint(added / scale) if scale else np.zeros_like(added)
    return {
        "shape": list(seen.shape),
        "image": np.rint(np.clip(seen, 0, 1) * 255).astype(int).ravel().tolist(),
        "map": steps.astype(int).ravel().tolist(),
        "scale": scale,
        "raised": float(by_pixel.clip(min=0).sum()),
        "lowered": float(by_pixel.clip(max=0).sum()),
        "part": float(by_pixel.sum()),
    }


def _windows(values: Floats, window: int, summed: Any) -> Floats:
    """(C, H, W) -> (C, H', W'): windows as one value; what is beyond the border is NaN, which `summed` leaves out."""
    if window == 1:
        return values
    channels, height, width = values.shape
    padded = np.pad(
        values, ((0, 0), (0, -height % window), (0, -width % window)), constant_values=np.nan
    ).reshape(channels, math.ceil(height / window), window, math.ceil(width / window), window)
    found: Floats = summed(padded, axis=(2, 4))
    return found
