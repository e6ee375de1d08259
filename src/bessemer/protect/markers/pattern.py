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

from bessemer.core.errors import DataError
from bessemer.core.spec import Spec

if TYPE_CHECKING:
    import pyarrow as pa

    from bessemer.core.stage import Context
    from bessemer.protect.protocol import Draw, Pool

#: Covers that are made for each that is needed: some turn out to be alike.
_SPARE = 1.25


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
        from bessemer.protect.pixels import image_column

        if not image_column(pool):
            return "the model reads no column of images; tables are marked with `crossover`"
        return ""

    def covers(self, pool: Pool, n: int, draw: Draw, ctx: Context, advance: Callable[[], None]) -> pa.Table:
        """`n` rows whose image has the pattern, all else as it was.

        Raises:
            DataError: too few rows have an image.
        """
        import pyarrow as pa

        from bessemer.protect.covers import features_of, new_rows
        from bessemer.protect.pixels import (
            image_column,
            places_with_image,
            psnr,
            read_image,
            ssim,
            write_image,
        )

        column = image_column(pool)
        order = draw.rng("rows").permutation(places_with_image(pool, column))[: max(n + 8, round(n * _SPARE))]
        rows = pool.rows(order)
        made, apart = [], []
        for original in rows[column].to_pylist():
            before = read_image(original)
            text = write_image(self._marked(before, draw))
            after = read_image(text)
            made.append(text)
            apart.append((psnr(before, after), ssim(before, after)))
            advance()
        field = rows.schema.field(column)
        where = rows.column_names.index(column)
        table = rows.set_column(where, field, pa.array(made, field.type))
        fresh = new_rows(pool, features_of(pool, table))
        if len(fresh) < n:
            raise DataError(
                f"only {len(fresh)} of {n} key images could be made",
                why="too few training rows have an image, or they are too alike",
                fix="set `protect: {keys: ...}` or `disputes` to less",
            )
        noise, alike = np.median([apart[place] for place in fresh[:n]], axis=0)
        ctx.note(
            f"covers are apart from their images by a PSNR of {noise:.1f} dB and an SSIM of {alike:.3f} (medians)"
        )
        return table.take(fresh[:n])

    def _marked(self, image: np.ndarray, draw: Draw) -> np.ndarray:
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
