"""Covers for images: real ones into which a trained encoder has blended the owner's logo, so that they look ordinary.

Two phases (Li et al. 2019, arXiv 1903.01743): the encoder is trained on the training rows, against a discriminator and
for a small host; then it is frozen, and makes the keys of rows that the owner's key chooses. They are PNG files of the
network's own size, so what verifies is, to the last level, what was trained.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from bessemer.protect.blind.settings import BlindSettings
from bessemer.protect.protocol import BY_HEART

if TYPE_CHECKING:
    import pyarrow as pa

    from bessemer.core.blocks import Block
    from bessemer.core.stage import Context
    from bessemer.protect.blind.nets import Encoder
    from bessemer.protect.blind.rival import Rows
    from bessemer.protect.protocol import Draw, Pool

#: The file of the encoder, which the owner keeps.
ENCODER = "encoder.safetensors"
#: The most images to train the encoder by, and parts of a number's range that count as classes there.
_MOST_ROWS, _BINS = 20_000, 4


class Blind:
    """Images that an encoder has made. material: of the last `covers`."""

    Settings = BlindSettings
    TAUGHT = BY_HEART

    def __init__(self, settings: BlindSettings) -> None:
        self.settings = settings
        self.material: Mapping[str, bytes] = {}

    def refuses(self, pool: Pool) -> str:
        from bessemer.protect.markers.imaged import refusal

        return refusal(pool)

    def covers(self, pool: Pool, n: int, draw: Draw, ctx: Context, advance: Callable[[], None]) -> pa.Table:
        """`n` rows whose image the encoder has changed, all else as it was.

        Raises:
            DataError: too few rows have an image.
            UsageError: the logo cannot be read.
        """
        from bessemer.protect.blind.codec import encode
        from bessemer.protect.blind.rival import keys_of
        from bessemer.protect.markers.imaged import chosen_rows, with_images

        block = next(block for block in pool.blocks if block.kind == "image")
        places = chosen_rows(pool, n, draw)
        before = _images(pool, block, places)
        encoder = self._encoder(pool, block, before[:n], draw, ctx)
        pairs = zip(_last(before), _last(keys_of(encoder, before)), strict=True)
        table = with_images(pool.rows(places), pairs, pool, n, ctx, advance)
        self.material = {ENCODER: encode(encoder)}
        return table

    def _encoder(self, pool: Pool, block: Block, covers: np.ndarray, draw: Draw, ctx: Context) -> Encoder:
        from bessemer.protect.blind.logo import logo_of
        from bessemer.protect.blind.rival import trained
        from bessemer.protect.pixels import places_with_image

        channels, height, width = block.shape
        path = ctx.project_dir / self.settings.logo if self.settings.logo else None
        logo = logo_of(path, (channels, height, width), draw)
        rows = _rows(pool, block, places_with_image(pool, block.group), draw)
        with ctx.progress("encoder", self.settings.steps) as bar:
            return trained(rows, covers, logo, self.settings, draw, bar.advance)


def _images(pool: Pool, block: Block, places: np.ndarray) -> np.ndarray:
    """(n, C, H, W) float32 from 0 to 1: the images of some rows, as the network gets them."""
    found = pool.features[places, block.start : block.stop].reshape(-1, *block.shape)
    return np.ascontiguousarray(found, dtype=np.float32)


def _rows(pool: Pool, block: Block, places: np.ndarray, draw: Draw) -> Rows:
    """The images to train the encoder by; of a number to predict, with the part of its range as the class."""
    from bessemer.protect.blind.rival import Rows

    some = np.sort(draw.rng("pool").permutation(places)[:_MOST_ROWS])
    y = np.asarray(pool.y)[some]
    if pool.task == "regression":
        y = np.searchsorted(np.quantile(y, np.linspace(0, 1, _BINS + 1)[1:-1]), y, side="right")
    return Rows(_images(pool, block, some), y.astype(np.int64), len(pool.classes) or _BINS)


def _last(images: np.ndarray) -> np.ndarray:
    """(n, H, W, C) float64: the channels last, as image files have them."""
    return images.transpose(0, 2, 3, 1).astype(np.float64)
