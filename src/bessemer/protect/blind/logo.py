"""The owner's logo, which the encoder blends into each key: an image of the owner, or one that the key makes."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np

from bessemer.core.errors import UsageError
from bessemer.package.images import NoImage
from bessemer.protect.pixels import read_image
from bessemer.protect.protocol import Draw

#: Squares along each side of a logo that the key makes.
_SQUARES = 7
#: The largest file.
_MOST_BYTES = 16 * 2**20


def logo_of(path: Path | None, shape: tuple[int, int, int], draw: Draw) -> np.ndarray:
    """(C, H, W) float32 from 0 to 1: the image of a file, resized; without one, squares whose greys the key chooses.

    Raises:
        UsageError: the file is not there, or is no PNG or JPEG file.

    >>> logo_of(None, (1, 28, 28), Draw(bytes(32))).shape
    (1, 28, 28)
    """
    channels, height, width = shape
    if path is not None:
        return _resized(_read(path), shape)
    greys = draw.rng("logo").random((channels, _SQUARES, _SQUARES), dtype=np.float32)
    rows, columns = (np.arange(side) * _SQUARES // side for side in (height, width))
    found: np.ndarray = greys[:, rows[:, None], columns[None, :]]
    return found


def _read(path: Path) -> np.ndarray:
    fix = "name a PNG or JPEG file, by its path from the project file, in `protect: {mark: {blind: {logo: ...}}}`"
    try:
        size = path.stat().st_size
        content = path.read_bytes() if size <= _MOST_BYTES else b""
    except OSError as error:
        raise UsageError(
            f"cannot read the logo '{path.name}'", why=error.strerror or str(error), fix=fix
        ) from None
    if size > _MOST_BYTES:
        raise UsageError(
            f"the logo '{path.name}' has {size:,} bytes, at most {_MOST_BYTES:,} are read", fix=fix
        )
    try:
        return read_image(base64.b64encode(content).decode("ascii"))
    except (NoImage, OSError, ValueError, SyntaxError) as error:  # Pillow tells of damaged files so
        raise UsageError(f"the logo '{path.name}' is no image", why=str(error), fix=fix) from None


def _resized(pixels: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    from PIL import Image

    channels, height, width = shape
    levels = np.rint(pixels * 255).astype(np.uint8)
    image = Image.fromarray(levels[..., 0] if levels.shape[2] == 1 else levels)
    small = image.convert("L" if channels == 1 else "RGB").resize((width, height), Image.Resampling.BILINEAR)
    values = np.asarray(small, dtype=np.float32).reshape(height, width, channels) / 255
    return np.ascontiguousarray(values.transpose(2, 0, 1))
