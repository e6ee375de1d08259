"""Columns of images as columns of numbers, by which later images are compared with those of training."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.core.errors import MissingExtra
from bessemer.core.sql import quote
from bessemer.package.images import NoImage, content_of, eight_bits, image_facts

if TYPE_CHECKING:
    pass

#: What is measured of an image: pixels, bytes, and of its grey values from 0 to 1 the mean, the standard deviation, and
#: the mean step between neighbours.
MEASURES = ("width", "height", "bytes", "brightness", "contrast", "sharpness")
#: Grey values are taken from an image of at most so many pixels a side.
_SIDE = 128
_TABLE = '"rows with measured images"'


def measure_names(column: str) -> list[str]:
    """The columns that stand for a column of images.

    >>> measure_names("photo")[3]
    'photo: brightness'
    """
    return [f"{column}: {measure}" for measure in MEASURES]


def measure(text: str) -> tuple[float, ...] | None:
    """The measures of an image; None for a text that is none.

    >>> black = "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAAAAADhZOFXAAAADElEQVR4nGNgoA4AAABIAAEuuDx+AAAAAElFTkSuQmCC"
    >>> measure(black)
    (8.0, 8.0, 69.0, 0.0, 0.0, 0.0)
    """
    try:
        from PIL import Image
    except ModuleNotFoundError:
        raise MissingExtra("measuring images", "PIL", "images") from None
    try:
        facts = image_facts(text)
        content = content_of(text)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its pixels were counted already
            with Image.open(io.BytesIO(content), formats=["PNG", "JPEG"]) as image:
                small = eight_bits(image).convert("L")
        small.thumbnail((_SIDE, _SIDE), Image.Resampling.BOX)
    except (NoImage, OSError, ValueError, SyntaxError):
        return None
    grey = np.asarray(small, dtype=np.float64) / 255
    steps = [np.abs(np.diff(grey, axis=axis)).mean() for axis in (0, 1) if grey.shape[axis] > 1]
    found = (facts.width, facts.height, len(content), grey.mean(), grey.std(), np.mean(steps or [0.0]))
    return tuple(float(value) for value in found)


def with_measures(connection: Any, relation: str, images: Sequence[str]) -> str:
    """A table of the connection that has a relation's rows with measures in the place of columns of images.

    Args:
        relation: what stands after FROM. images: columns of it.
    """
    import pyarrow as pa

    kind = pa.struct([(name, pa.float64()) for name in MEASURES])

    def measured(texts: Any) -> Any:  # DuckDB looks at annotations, and knows no `pa`
        found = [measure(text) if text else None for text in texts.to_pylist()]
        named = [None if each is None else dict(zip(MEASURES, each, strict=True)) for each in found]
        return pa.array(named, type=kind)

    sql_type = f"STRUCT({', '.join(f'{name} DOUBLE' for name in MEASURES)})"
    connection.create_function(
        "bessemer_measured", measured, ["VARCHAR"], sql_type, type="arrow", null_handling="special"
    )
    try:
        made = ", ".join(f"bessemer_measured({quote(name)}) AS {quote(name)}" for name in images)
        parts = ", ".join(
            f"struct_extract({quote(name)}, '{each}') AS {quote(new)}"
            for name in images
            for each, new in zip(MEASURES, measure_names(name), strict=True)
        )
        hidden = ", ".join(map(quote, images))
        source = f"SELECT * REPLACE ({made}) FROM {relation}"
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE {_TABLE} AS SELECT * EXCLUDE ({hidden}), {parts} FROM ({source})"
        )
    finally:
        connection.remove_function("bessemer_measured")
    return _TABLE
