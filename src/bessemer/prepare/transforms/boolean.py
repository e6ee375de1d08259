"""Booleans: 0 for false, 1 for true."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from bessemer.core.signature import DType
from bessemer.prepare.transforms.base import Feature, Plain, TrainColumn

if TYPE_CHECKING:
    from bessemer.prepare.spec import PrepareSpec


class Boolean:
    """One feature: 0, 1, or NaN where it is missing."""

    dtypes: ClassVar[tuple[DType, ...]] = ("boolean",)
    encodings: ClassVar[tuple[str, ...]] = ()
    portable: ClassVar[bool] = True

    def fit(self, column: TrainColumn, spec: PrepareSpec, encode: Sequence[str] | None) -> Plain:
        name = column.column.name
        return Plain(Feature(name, name, "boolean", f"1 where {name} is true, 0 where it is false"))
