"""Covers for images: real ones with a faint pattern that only the owner's key knows.

Nothing about it is trained, so nobody can train another one onto a model that is there already. The pattern is of
squares, a few along each side, each a little lighter or darker, so that it outlives resizing. It is strong where the
image has edges and texture, which hide it, and nothing on an even ground (perceptual masking, as in spread-spectrum
watermarks: Cox et al. 1997). Each image has a pattern of its own: what all had in common could be found by whoever has
seen some.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from bessemer.core.spec import Spec
from bessemer.protect.protocol import BY_HEART

if TYPE_CHECKING:
    import pyarrow as pa

    from bessemer.core.stage import Context
    from bessemer.protect.protocol import Draw, Pool

#: What an even ground counts as: of an image that is nothing else, all of it takes the pattern.
_GROUND = 1e-3
#: Halvings of where the strength can be.
_HALVINGS = 20


class PatternSettings(Spec):
    """What the project file may say of `pattern`."""

    squares: int = Field(14, ge=2, le=64, description="squares of the pattern along each side of the image")
    psnr: float = Field(
        33.0,
        ge=15,
        le=60,
        description="how faint the pattern is: peak signal-to-noise ratio of the cover, in dB",
    )


class Pattern:
    """Images with a pattern."""

    Settings = PatternSettings
    TAUGHT = BY_HEART

    def __init__(self, settings: PatternSettings) -> None:
        self.settings = settings

    def refuses(self, pool: Pool) -> str:
        from bessemer.protect.markers.imaged import refusal

        return refusal(pool)

    def covers(self, pool: Pool, n: int, draw: Draw, ctx: Context, advance: Callable[[], None]) -> pa.Table:
        """`n` rows whose image has the pattern, all else as it was.

        Raises:
            DataError: too few rows have an image.
        """
        from bessemer.protect.markers.imaged import chosen_rows, with_images
        from bessemer.protect.pixels import image_column, read_image

        rows = pool.rows(chosen_rows(pool, n, draw))
        originals = map(read_image, rows[image_column(pool)].to_pylist())
        return with_images(rows, ((one, self.marked(one, draw)) for one in originals), pool, n, ctx, advance)

    def marked(self, image: np.ndarray, draw: Draw) -> np.ndarray:
        """The image (H, W, C), from 0 to 1, with its pattern: of 256 levels, and as far off as asked for at most. What
        black, white and rounding cut off is made up for."""
        from bessemer.protect.pixels import spread

        pattern = self._squares(image, draw) * np.maximum(spread(image), _GROUND)
        wanted = 10 ** (-self.settings.psnr / 20)
        found, low, high = image, wanted, 1 / _GROUND
        for _ in range(_HALVINGS):
            strength = math.sqrt(low * high)
            tried = np.rint(np.clip(image + strength * pattern, 0, 1) * 255) / 255
            if np.sqrt(np.mean((tried - image) ** 2)) <= wanted:
                found, low = tried, strength
            else:
                high = strength
        return found

    def _squares(self, image: np.ndarray, draw: Draw) -> np.ndarray:
        """(H, W, 1) of -1 and 1, which follow from the key and the image."""
        levels = np.rint(image * 255).astype(np.uint8)
        rng = draw.rng("pattern", hashlib.sha256(levels.tobytes()).hexdigest())
        signs = rng.choice([-1.0, 1.0], (self.settings.squares, self.settings.squares))
        rows, columns = (np.arange(side) * self.settings.squares // side for side in image.shape[:2])
        found: np.ndarray = signs[np.ix_(rows, columns)][..., None]
        return found
