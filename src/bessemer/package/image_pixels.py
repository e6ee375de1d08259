"""An image in a column as an array of pixels, and back."""

from __future__ import annotations

import base64
import io

import numpy as np

from bessemer.package.images import content_of, image_facts


def read_image(text: str) -> np.ndarray:
    """(H, W, C) float64 from 0 to 1, C of 1 (grey) or 3.

    Raises:
        NoImage: the text is no base64 of an image.

    >>> read_image(write_image(np.full((2, 3, 1), 0.2))).shape
    (2, 3, 1)
    """
    from PIL import Image

    channels = image_facts(text).channels
    with Image.open(io.BytesIO(content_of(text))) as image:
        pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"), dtype=np.float64) / 255
    return pixels.reshape(*pixels.shape[:2], channels)


def write_image(pixels: np.ndarray) -> str:
    """The base64 of a PNG file of (H, W, C) pixels from 0 to 1, rounded to 256 levels."""
    from PIL import Image

    levels = np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    content = io.BytesIO()
    Image.fromarray(levels[..., 0] if levels.shape[2] == 1 else levels).save(content, "PNG")
    return base64.b64encode(content.getvalue()).decode("ascii")
