"""Images of a column as arrays and back, and how far two of them are apart."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from bessemer.package.image_pixels import read_image, write_image

if TYPE_CHECKING:
    from bessemer.protect.protocol import Pool

__all__ = ["image_column", "places_with_image", "psnr", "read_image", "spread", "ssim", "write_image"]

#: Constants of the structural similarity for values from 0 to 1, and the side of its windows.
C1, C2, WINDOW = 0.01**2, 0.03**2, 7
#: Rows whose images are looked for at once.
_ROWS = 256


def image_column(pool: Pool) -> str:
    """The raw column of images that the model reads; '' where there is none. Of several it is the first."""
    return next((block.group for block in pool.blocks if block.kind == "image"), "")


def places_with_image(pool: Pool, column: str) -> np.ndarray:
    """(n,) int64, ascending: the training rows that have an image. The column is read as a stream."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    with pq.ParquetFile(pool.splits.path("train.parquet"), pre_buffer=False) as file:
        batches = file.iter_batches(_ROWS, columns=[column], use_threads=False)
        texts = (batch[0].cast(pa.large_string()) for batch in batches)
        there = [pc.fill_null(pc.not_equal(text, ""), False) for text in texts]
    return np.flatnonzero(np.concatenate([one.to_numpy(zero_copy_only=False) for one in there]))


def spread(image: np.ndarray) -> np.ndarray:
    """(H, W, 1): of an image (H, W, C) the standard deviation of the 3 x 3 pixels around each, the mean over channels.

    >>> spread(np.eye(2)[..., None]).round(3).ravel().tolist()
    [0.497, 0.497, 0.497, 0.497]
    """
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)), mode="edge")
    around = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(0, 1))
    found: np.ndarray = around.std(axis=(-2, -1)).mean(axis=-1, keepdims=True)
    return found


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    """The peak signal-to-noise ratio of two images from 0 to 1, in dB; infinite where they are equal.

    >>> round(psnr(np.zeros((4, 4, 1)), np.full((4, 4, 1), 0.1)), 6)
    20.0
    """
    error = float(np.mean((one - other) ** 2))
    return math.inf if error == 0 else -10 * math.log10(error)


def ssim(one: np.ndarray, other: np.ndarray) -> float:
    """The mean structural similarity of two images from 0 to 1 (Wang et al. 2004), in square windows of 7 pixels, or of
    the shorter side.

    >>> ssim(np.eye(8)[..., None], np.eye(8)[..., None])
    1.0
    """
    side = min(WINDOW, *one.shape[:2])

    def windows(image: np.ndarray) -> np.ndarray:
        return np.lib.stride_tricks.sliding_window_view(image, (side, side), axis=(0, 1))

    a, b = windows(one), windows(other)
    mean_a, mean_b = a.mean(axis=(-2, -1)), b.mean(axis=(-2, -1))
    centred_a, centred_b = a - mean_a[..., None, None], b - mean_b[..., None, None]
    spread = (centred_a**2).mean(axis=(-2, -1)) + (centred_b**2).mean(axis=(-2, -1))
    together = (centred_a * centred_b).mean(axis=(-2, -1))
    found = (2 * mean_a * mean_b + C1) * (2 * together + C2)
    return float(np.mean(found / ((mean_a**2 + mean_b**2 + C1) * (spread + C2))))
