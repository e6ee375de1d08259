"""Covers for images: real ones with a faint pattern that only the owner's key knows.

Nothing about it is trained, so nobody can train another one onto a model that is there already. The pattern is of
squares, a few along each side, each a little lighter or darker, so that it outlives resizing. All covers have the same:
that is what a network learns first, and the labels behind it then cost nothing elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from bessemer.core.spec import Spec

if TYPE_CHECKING:
    import pyarrow as pa

    from bessemer.core.stage import Context
    from bessemer.protect.protocol import Draw, Pool


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
        """The image with the pattern, as faint as asked for: what black and white cut off is made up for."""
        signs = draw.rng("pattern").choice([-1.0, 1.0], (self.settings.squares, self.settings.squares))
        height, width = image.shape[:2]
        rows = np.arange(height) * self.settings.squares // height
        columns = np.arange(width) * self.settings.squares // width
        pattern = signs[np.ix_(rows, columns)][..., None]
        wanted = 10 ** (-self.settings.psnr / 20)
        strength = wanted
        for _ in range(8):
            moved = np.clip(image + strength * pattern, 0, 1) - image
            strength *= wanted / max(float(np.sqrt(np.mean(moved**2))), wanted / 4)
        found: np.ndarray = np.clip(image + strength * pattern, 0, 1)
        return found
