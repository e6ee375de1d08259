"""Coefficient times the distance from the mean, for linear models."""

from __future__ import annotations

from typing import ClassVar

from bessemer.package.attribution.auto import Auto
from bessemer.package.natives import Constant, Linear, NativeModel, components


class LinearParts(Auto):
    """Exact Shapley values of a sum, whatever is taken for unknown features, as long as they are independent.

    Source: Strumbelj and Kononenko, "Explaining prediction models and individual predictions with feature
    contributions", Knowledge and Information Systems 41 (2014).
    """

    against: ClassVar[str] = "the mean of each feature over the training rows"

    @staticmethod
    def refuses(model: NativeModel) -> str:
        linear = all(isinstance(one, Linear | Constant) for one in components(model))
        return "" if linear else "it has a part that is not linear"
