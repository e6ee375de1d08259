"""What is exact and quick for the kind of model: paths of trees, coefficients, sampled orders for networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from bessemer.package.attribution.plugins import Players
from bessemer.package.natives import Ensemble, Head, NativeModel, Paired
from bessemer.package.shapley import Estimate, estimated_shapley, evaluations


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
        self._model, self._player = model, players.together

    @staticmethod
    def refuses(model: NativeModel) -> str:
        return ""

    @property
    def work(self) -> float:
        return own_work(self._model, int(self._player.max(initial=0)) + 1)

    def estimate(self, x: np.ndarray) -> Estimate:
        return own(self._model, x, self._player)


def own_work(model: NativeModel, players: int) -> float:
    """What `own` costs for one row, in about a nanosecond of one thread."""
    if isinstance(model, Ensemble):
        return sum(own_work(member, players) for _, member in model.members)
    return evaluations(players) * model.margin_work if isinstance(model, Head) else model.work


def own(model: NativeModel, x: np.ndarray, player: np.ndarray | None = None) -> Estimate:
    """A native model's contributions, with the error of those that are sampled.

    Args:
        player: (F,), which features of a network go together (see `estimated_shapley`).
    """
    if isinstance(model, Head):
        return estimated_shapley(model.margin, x, model.baseline, player=player)
    if isinstance(model, Paired):
        if player is not None:  # the pairs are features of their own
            added = model.encoder.added(x).shape[1] - len(player)
            player = np.concatenate([player, player.max() + 1 + np.arange(added)])
        found = own(model.model, model.encoder.added(x), player)
        squares = model.encoder.shared(
            found.error**2
        )  # half of each: an upper bound, as errors may go together
        return Estimate(found.base, model.encoder.shared(found.each), np.sqrt(squares))
    if isinstance(model, Ensemble):
        return combined([(weight, own(member, x, player)) for weight, member in model.members])
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
