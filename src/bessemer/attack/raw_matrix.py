"""Raw rows as a matrix, for attacks on a model of which no features are known: its pixels, or its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from bessemer.core.blocks import Block
from bessemer.core.constraints import Constraints
from bessemer.core.signature import Field
from bessemer.package.image_pixels import read_image, write_image
from bessemer.package.images import NoImage

if TYPE_CHECKING:
    import pyarrow as pa

Floats32 = npt.NDArray[np.float32]

#: The most pixels and channels of an image that is moved.
_LARGEST = 3 * 512 * 512


@dataclass(frozen=True)
class RawMatrix:
    """Columns of numbers, or one image whose pixels are all that moves.

    shape: (C, H, W) of the image in the column `image`, which is '' where there is none.
    """

    numbers: tuple[Field, ...]
    image: str = ""
    shape: tuple[int, int, int] = (0, 0, 0)

    @property
    def features(self) -> list[dict[str, Any]]:
        """As in `features.json`, with the `step` of what moves by whole steps."""
        if self.image:
            one = {"group": self.image, "kind": "pixel", "meaning": "", "step": 1 / 255}
            return [{"name": f"{self.image}_{i}", **one} for i in range(int(np.prod(self.shape)))]
        return [
            {
                "name": f.name,
                "group": f.name,
                "kind": "number",
                "meaning": "",
                "step": float(f.dtype == "integer"),
            }
            for f in self.numbers
        ]

    @property
    def blocks(self) -> list[Block]:
        return [Block(self.image, "image", 0, int(np.prod(self.shape)), self.shape)] if self.image else []

    def of(self, table: pa.Table) -> Floats32:
        """(N, F) of raw rows; NaN is missing."""
        if self.image:
            texts = table.column(self.image).to_pylist()
            return np.stack([_pixels(text, self.shape) for text in texts]).astype(np.float32)
        found = np.full((table.num_rows, len(self.numbers)), np.nan, dtype=np.float32)
        for i, one in enumerate(self.numbers):
            found[:, i] = _numbers(table.column(one.name))
        return found

    def table(self, X: Floats32, base: pa.Table) -> pa.Table:
        """Raw rows with the values (N, F); what is not moved stays exactly as it is in `base` (N)."""
        import pyarrow as pa

        before = self.of(base)
        if self.image:
            moved = ~((before == X) | np.isnan(X)).all(axis=1)
            texts = [
                write_image(row.reshape(self.shape).transpose(1, 2, 0)) if new else text
                for row, new, text in zip(X, moved, base.column(self.image).to_pylist(), strict=True)
            ]
            return _put(base, self.image, pa.array(texts, pa.string()))
        for i, one in enumerate(self.numbers):
            own = _numbers(base.column(one.name))
            values = np.where((X[:, i] == before[:, i]) | np.isnan(before[:, i]), own, X[:, i])
            values = np.rint(values) if one.dtype == "integer" else values
            kind = pa.int64() if one.dtype == "integer" else pa.float64()
            base = _put(base, one.name, pa.array(values, mask=np.isnan(values)).cast(kind))
        return base


def raw_matrix(inputs: Sequence[Field], table: pa.Table, constraints: Constraints) -> RawMatrix:
    """What of some raw rows may be moved: the first column of images of one size, else the columns of numbers that
    are not `immutable`."""
    free = [one for one in inputs if not (one.name in constraints and constraints[one.name].immutable)]
    for field in free:
        if field.is_image and (shape := _shape(table.column(field.name).to_pylist())):
            return RawMatrix((), field.name, shape)
    return RawMatrix(tuple(one for one in free if one.dtype in ("integer", "number")))


def _shape(texts: Sequence[Any]) -> tuple[int, int, int] | None:
    """Of all images, or None where they differ, one is missing or none, or they are large."""
    try:
        found = {read_image(text).shape if text else () for text in texts}
    except NoImage:
        return None
    if len(found) != 1 or not (shape := found.pop()) or int(np.prod(shape)) > _LARGEST:
        return None
    height, width, channels = shape
    return channels, height, width


def _pixels(text: str, shape: tuple[int, int, int]) -> np.ndarray:
    return read_image(text).transpose(2, 0, 1).reshape(int(np.prod(shape)))


def _numbers(column: Any) -> npt.NDArray[np.float64]:
    import pyarrow as pa

    values: npt.NDArray[np.float64] = column.cast(pa.float64(), safe=False).to_numpy()
    return np.where(np.isfinite(values), values, np.nan)


def _put(table: pa.Table, name: str, column: Any) -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), name, column)
