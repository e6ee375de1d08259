"""A column of numbers in which something stands for a missing value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bessemer.prepare.transforms.base import Block, CrossFit, Feature, Plain

if TYPE_CHECKING:
    from bessemer.package.graph import GraphBuilder


@dataclass(frozen=True)
class Filled:
    """A fitted transform of one feature: the value as float32, or `fill` where it is NaN or infinite."""

    feature: Feature
    fill: float
    crossfit: CrossFit | None = None

    @property
    def features(self) -> tuple[Feature, ...]:
        return (self.feature,)

    def add(self, builder: GraphBuilder, value: str) -> Block:
        x = Plain(self.feature).add(builder, value).value
        missing = builder.op("Or", [builder.op("IsNaN", [x]), builder.op("IsInf", [x])])
        return Block(builder.op("Where", [missing, builder.constant(np.float32(self.fill)), x]))
