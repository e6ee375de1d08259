"""What is exact and quick for the kind of model: paths of trees, coefficients, sampled orders for networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from bessemer.package.attribution.plugins import Players
from bessemer.package.natives import Ensemble, Head, NativeModel, Paired
from bessemer.package.shapley import Estimate, estimated_shapley


class Auto:
    """The native model's own contributions."""

    against: ClassVar[str] = "what the model's kind has as its baseline"
    draws: ClassVar[bool] = False

    def __init__(
        self,
        model: NativeModel,
        players: Players,
        background: np.ndarray,
        settings: Mapping[str, int],
        threads: int = 1,
    ) -> None:
        self._model = model

    @staticmethod
    def refuses(model: NativeModel) -> str:
        return ""

    @property
    def work(self) -> float:
        return self._model.work

    def estimate(self, x: np.ndarray) -> Estimate:
        return own(self._model, x)


def own(model: NativeModel, x: np.ndarray) -> Estimate:
    """A native model's contributions, with the error of those that are sampled."""
    if isinstance(model, Head):
        return estimated_shapley(model.margin, x, model.baseline)
    if isinstance(model, Paired):
        found = own(model.model, model.encoder.added(x))
        squares = model.encoder.shared(
            found.error**2
        )  # half of each: an upper bound, as errors may go together
        return Estimate(found.base, model.encoder.shared(found.each), np.sqrt(squares))
    if isinstance(model, Ensemble):
        return combined([(weight, own(member, x)) for weight, member in model.members])
    base, each = model.contributions(x)
    return Estimate.exact(np.asarray(base[0], dtype=np.float64), each)


def combined(parts: list[tuple[float, Estimate]]) -> Estimate:
    """The weighted sum of estimates whose errors have nothing to do with each other."""
    (first, one), *others = parts
    base, each, squares = first * one.base, first * one.each, first**2 * one.error**2
    for weight, part in others:
        base = base + weight * part.base
        each = each + weight * part.each
        squares = squares + weight**2 * part.error**2
    return Estimate(base, each, np.sqrt(squares))
