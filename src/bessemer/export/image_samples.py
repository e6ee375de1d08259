"""More images than a package has: its few stored ones mixed, flipped and made noisy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bessemer.package.image_pixels import read_image, write_image

#: The standard deviation of the noise, of pixels from 0 to 1.
_NOISE = 0.05


def altered_images(texts: Sequence[str], count: int, rng: np.random.Generator) -> list[str]:
    """Images between two of those given, every other mirrored, all with noise.

    Args:
        texts: base64 of PNG or JPEG files, one at least.

    Returns:
        `count` texts, base64 of PNG files.

    Raises:
        MissingExtra: Pillow is not installed.

    >>> from bessemer.package.image_pixels import write_image
    >>> black, white = (write_image(np.full((4, 6, 1), level)) for level in (0.0, 1.0))
    >>> made = altered_images([black, white], 3, np.random.default_rng(0))
    >>> [read_image(text).shape for text in made]
    [(4, 6, 1), (4, 6, 1), (4, 6, 1)]
    """
    images = [read_image(text) for text in texts]
    return [write_image(_altered(images, bool(i % 2), rng)) for i in range(count)]


def _altered(images: Sequence[np.ndarray], mirrored: bool, rng: np.random.Generator) -> np.ndarray:
    first, second = (images[i] for i in rng.integers(len(images), size=2))
    height, width = min(first.shape[0], second.shape[0]), min(first.shape[1], second.shape[1])
    share = rng.random()
    mixed = share * first[:height, :width] + (1 - share) * second[:height, :width]
    if mirrored:
        mixed = mixed[:, ::-1]
    noisy: np.ndarray = mixed + rng.normal(scale=_NOISE, size=mixed.shape)
    return noisy
