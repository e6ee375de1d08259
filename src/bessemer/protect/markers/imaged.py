"""What markers of images have in common: which rows, and their images replaced by others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np

from bessemer.core.errors import DataError
from bessemer.protect.covers import features_of, new_rows
from bessemer.protect.pixels import image_column, places_with_image, psnr, read_image, ssim, write_image

if TYPE_CHECKING:
    import pyarrow as pa

    from bessemer.core.stage import Context
    from bessemer.protect.protocol import Draw, Pool

#: Covers that are made for each that is needed: some turn out to be alike.
_SPARE = 1.25


def refusal(pool: Pool) -> str:
    """Why no image can be marked; '' where there are some."""
    return (
        ""
        if image_column(pool)
        else "the model reads no column of images; tables are marked with `crossover`"
    )


def chosen_rows(pool: Pool, n: int, draw: Draw) -> np.ndarray:
    """(m,) int64: rows with an image that the key chooses, some more than `n` where there are as many."""
    found = draw.rng("rows").permutation(places_with_image(pool, image_column(pool)))
    return found[: max(n + 8, round(n * _SPARE))]


def with_images(
    rows: pa.Table,
    images: Iterable[tuple[np.ndarray, np.ndarray]],
    pool: Pool,
    n: int,
    ctx: Context,
    advance: Callable[[], None],
) -> pa.Table:
    """The first `n` rows that are new, with other images; it notes how far these are from what they were made of.

    Args:
        images: of each row the image as it was and as it is to be, (H, W, C) from 0 to 1.

    Raises:
        DataError: fewer than `n` are new.
    """
    import pyarrow as pa

    column = image_column(pool)
    made, apart = [], []
    for before, wanted in images:
        text = write_image(wanted)
        after = read_image(text)
        made.append(text)
        apart.append((psnr(before, after), ssim(before, after)))
        advance()
    field = rows.schema.field(column)
    table = rows.set_column(rows.column_names.index(column), field, pa.array(made, field.type))
    fresh = new_rows(pool, features_of(pool, table))
    if len(fresh) < n:
        raise DataError(
            f"only {len(fresh)} of {n} key images could be made",
            why="too few training rows have an image, or they are too alike, or hardly changed",
            fix="set `protect: {keys: ...}` or `disputes` to less, or the marker's `psnr`",
        )
    noise, alike = np.median([apart[place] for place in fresh[:n]], axis=0)
    ctx.note(
        f"covers are apart from their images by a PSNR of {noise:.1f} dB and an SSIM of {alike:.3f} (medians)"
    )
    return table.take(fresh[:n])
