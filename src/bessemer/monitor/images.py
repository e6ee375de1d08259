"""Images as vectors, without a network: where colours are, how edges run, and how often each brightness is."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bessemer.core.errors import DataError, MissingExtra
from bessemer.stats.arrays import Floats
from bessemer.stats.image_features import SIDE, image_features

#: An image with more pixels than this is refused before it is decoded: a small file may claim any size.
MOST_PIXELS = 50_000_000


def image_embeddings(images: Sequence[bytes | str | Path | NDArray[Any]]) -> Floats:
    """A vector (`stats.image_features.WIDTH`) for each image, (n, width): what `EmbeddingReference` compares.

    Args:
        images: each the bytes or the path of a PNG or JPEG, or an array: (h, w) or (h, w, 3) of uint8, or of floats in
            [0, 1]; of `MOST_PIXELS` at most. Of grey PNGs of 16 bits, the brightest is white as of those of 8.

    Raises:
        DataError: one is no image. MissingExtra: Pillow is not installed (`bessemer[images]`).

    >>> image_embeddings([np.zeros((8, 8), dtype=np.uint8)]).shape
    (1, 200)
    """
    if not len(images):
        raise DataError("there are no images", fix="give one or more")
    return np.stack([image_features(_pixels(image, i)) for i, image in enumerate(images)])


def _pixels(image: bytes | str | Path | NDArray[Any], place: int) -> Floats:
    """(SIDE, SIDE, 3) in [0, 1]."""
    pillow = _pillow()
    try:
        opened = pillow.fromarray(_bytes(image)) if isinstance(image, np.ndarray) else _opened(pillow, image)
        small = opened.convert("RGB").resize((SIDE, SIDE), pillow.Resampling.BOX)
    except MemoryError:
        raise
    except Exception as error:  # a decoder may raise anything of a broken file, SyntaxError too
        raise DataError(
            f"image {place} cannot be read",
            why=str(error)[:200],
            fix="give a PNG, a JPEG or an array of pixels",
        ) from error
    return np.asarray(small, dtype=np.float64) / 255


def _opened(pillow: Any, image: bytes | str | Path) -> Any:
    found = pillow.open(io.BytesIO(image) if isinstance(image, bytes) else image, formats=("PNG", "JPEG"))
    _check_size(found.height, found.width)
    if found.mode.startswith("I"):  # 16 bits of grey, which `convert` would cut off at 255
        grey = np.round(np.asarray(found, dtype=np.float64) / 257)
        return pillow.fromarray(np.clip(grey, 0, 255).astype(np.uint8))
    return found


def _bytes(image: NDArray[Any]) -> NDArray[np.uint8]:
    if image.ndim not in (2, 3) or image.shape[2:] not in ((), (3,)):
        raise ValueError(f"an array of the shape {image.shape} is not (h, w) or (h, w, 3)")
    _check_size(*image.shape[:2])
    if image.dtype == np.uint8:
        return np.ascontiguousarray(image)
    if not np.issubdtype(image.dtype, np.floating) or not ((image >= 0) & (image <= 1)).all():
        raise ValueError(f"an array of {image.dtype} is not of uint8, nor of floats in [0, 1]")
    return np.asarray(np.round(image * 255), dtype=np.uint8)


def _check_size(height: int, width: int) -> None:
    if not 0 < height * width <= MOST_PIXELS:
        raise ValueError(f"it has {width} x {height} pixels; between 1 and {MOST_PIXELS:,} are read")


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtra("images", "PIL", "images") from error
    return Image
