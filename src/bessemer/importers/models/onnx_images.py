"""How a foreign graph takes images: its own order of axes and colours, and its own numbers for black and white."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bessemer.core.errors import UsageError
from bessemer.importers.models.signature import ImageSaid, Layout
from bessemer.package.graph import GraphBuilder
from bessemer.package.remote.text import harmless
from bessemer.prepare.spec import Fit

_CHANNELS = (1, 3)
#: White, where pixels are bytes.
_WHITE = 255
#: Dimensions of an image: channels, height and width.
_MOST = 3


@dataclass(frozen=True)
class Pixels:
    """shape: (channels, height, width) of the features, which are pixels from 0 to 1, red first.

    factor, offset: (channels,) in the model's order of colours; it takes pixel * factor + offset.
    last: whether its channels are its last axis. turned: whether its first colour is blue.
    """

    shape: tuple[int, int, int]
    fit: Fit
    factor: tuple[float, ...]
    offset: tuple[float, ...]
    last: bool
    turned: bool

    def add(self, g: GraphBuilder, part: str, dims: tuple[int, ...]) -> str:
        """(N, C * H * W) features -> (N, *dims), or as many numbers side by side where `dims` says none."""
        channels = self.shape[0]
        x = g.op("Reshape", [part, g.constant(np.array([-1, *self.shape]))])
        if self.turned:
            x = g.op("Gather", [x, g.constant(np.array([2, 1, 0]))], axis=1)
        for operator, values, nothing in (("Mul", self.factor, 1.0), ("Add", self.offset, 0.0)):
            if set(values) != {nothing}:
                constant = np.array(values, dtype=np.float32).reshape(1, channels, 1, 1)
                x = g.op(operator, [x, g.constant(constant)])
        if self.last:
            x = g.op("Transpose", [x], perm=[0, 2, 3, 1])
        if len(dims) == 3:
            return x
        _, height, width = self.shape
        row = [height, width] if len(dims) == 2 else [channels * height * width]
        return g.op("Reshape", [x, g.constant(np.array([-1, *row]))])


def pixels_of(said: ImageSaid, dims: tuple[int, ...], name: str, most: int | None = None) -> Pixels:
    """How an input of `dims` a row takes the images that a signature speaks of.

    Args:
        most: the largest number that the input has, which is of whole numbers from 0 on; None for one of floats.

    Raises:
        UsageError: the two contradict each other, or neither says what has to be known.
    """
    if not 1 <= len(dims) <= _MOST:
        raise UsageError(
            f"the signature says images, and '{harmless(name)}' takes {len(dims) + 1} dimensions",
            fix="images have four, or two with their numbers side by side",
        )
    layout = said.layout or _layout(dims, name)
    height, width, channels = _own(dims, layout)
    size = said.size or (height, width)
    shape = (said.channels or channels, *size)
    if 0 in shape:
        raise UsageError(
            f"how large the images of '{harmless(name)}' are is said neither by the model nor by the signature",
            fix="image: {size: [HEIGHT, WIDTH], channels: 1}",
        )
    own = (channels, height, width)
    flat = len(dims) == 1 and dims[0] not in (0, shape[0] * shape[1] * shape[2])
    if flat or any(model and model != one for model, one in zip(own, shape, strict=True)):
        wanted = f"{dims[0]} numbers" if flat else f"{height} x {width} of {channels} channels"
        raise UsageError(
            f"the signature says images of {shape[1]} x {shape[2]} with {shape[0]} channels, "
            f"and '{harmless(name)}' takes {wanted}",
            fix="image: {size: [HEIGHT, WIDTH], channels: ..., layout: ...} as the model has them",
        )
    if shape[0] not in _CHANNELS:
        raise UsageError(
            f"'{harmless(name)}' takes images of {shape[0]} channels in the layout {layout}",
            why="images are grey (1) or of colours (3)",
            fix=f"image: {{layout: {'NHWC' if layout == 'NCHW' else 'NCHW'}}}, where that is what it takes",
        )
    return _pixels(said, shape, layout, most, name)


def _pixels(
    said: ImageSaid, shape: tuple[int, int, int], layout: Layout, most: int | None, name: str
) -> Pixels:
    channels, white = shape[0], 1.0 if most is None else float(min(most, _WHITE))
    mean, std = _each(said.mean or (0.0,), channels), _each(said.std or (1.0,), channels)
    factor = tuple((said.scale or white) / one for one in std)
    offset = tuple(-middle / one for middle, one in zip(mean, std, strict=True))
    low, high = min(offset), max(map(sum, zip(factor, offset, strict=True)))
    if most is not None and not -0.5 <= low <= high < most + 0.5:
        raise UsageError(
            f"the signature makes numbers from {low:g} to {high:g} of pixels, and '{harmless(name)}' takes whole ones "
            f"from 0 to {most:,}",
            why="others would become numbers of quite other pixels",
            fix=f"leave `mean` and `std` out, and let `scale` be {white:g}",
        )
    return Pixels(shape, said.fit, factor, offset, layout == "NHWC", said.order == "bgr" and channels == 3)


def _each(values: tuple[float, ...], channels: int) -> tuple[float, ...]:
    if len(values) not in (1, channels):
        raise UsageError(
            f"'mean' and 'std' of images have {len(values)} numbers, and the images {channels} channels",
            fix="give one, or one a channel",
        )
    return values if len(values) == channels else values * channels


def _layout(dims: tuple[int, ...], name: str) -> Layout:
    """Where the channels are, as the dimensions tell."""
    if len(dims) != 3 or dims[0] in _CHANNELS or dims[2] not in _CHANNELS:
        if len(dims) == 3 and dims[0] in _CHANNELS and dims[2] in _CHANNELS:
            raise UsageError(
                f"'{harmless(name)}' takes images of {dims} numbers, and where the channels are is not clear",
                fix="image: {layout: NCHW}, or NHWC",
            )
        return "NCHW"
    return "NHWC"


def _own(dims: tuple[int, ...], layout: Layout) -> tuple[int, int, int]:
    """Height, width and channels as the model says them; 0 where it does not."""
    if len(dims) == 3:
        return (dims[1], dims[2], dims[0]) if layout == "NCHW" else (dims[0], dims[1], dims[2])
    if len(dims) == 2:
        return dims[0], dims[1], 1
    return 0, 0, 0
