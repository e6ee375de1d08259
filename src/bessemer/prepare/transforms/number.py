"""Numbers: the value itself. Learners decide what missing means; trees need no scaling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from bessemer.core.signature import DType
from bessemer.prepare.transforms.base import Feature, Plain, TrainColumn

if TYPE_CHECKING:
    from bessemer.prepare.spec import PrepareSpec


class Number:
    """One feature: the value as float32; NaN where it is missing or infinite."""

    dtypes: ClassVar[tuple[DType, ...]] = ("number", "integer", "boolean")
    encodings: ClassVar[tuple[str, ...]] = ()
    portable: ClassVar[bool] = True

    def fit(self, column: TrainColumn, spec: PrepareSpec, encode: Sequence[str] | None) -> Plain:
        name = column.column.name
        return Plain(Feature(name, name, "number", f"the value of {name}"))
