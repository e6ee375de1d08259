"""Which versions are worth having: none that another beats in everything; and the one that is taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bessemer.optimize.judge import Loss, to_json
from bessemer.optimize.measure import Cost, Setting
from bessemer.optimize.variant import Variant

#: What is measured is about so much: a twentieth more or less is chance.
CHANCE = 1.05


@dataclass(frozen=True)
class Tried:
    """A version in a setting, what it costs and what it loses."""

    variant: Variant
    setting: Setting
    cost: Cost
    loss: Loss

    @property
    def lost(self) -> tuple[float, ...]:
        """What it loses, about, in rows and in the metric: less than nothing is nothing."""
        return tuple(round(max(0.0, one), 4) for one in (self.loss.other, self.loss.worse or 0.0))

    @property
    def costs(self) -> tuple[float, ...]:
        """What is better when it is less."""
        return (*self.cost.micros.values(), self.cost.bytes)

    def to_json(self) -> dict[str, Any]:
        said = {"version": self.variant.name, "threads": self.setting.threads, "trees": self.setting.trees}
        return {**said, "cost": self.cost.to_json(), "loss": to_json(self.loss)}


def pareto(tried: Sequence[Tried]) -> list[Tried]:
    """Those that no other one is as good as in everything and better than in something.

    In the order in which they were tried; of alike ones the first. A cost that differs by less than `CHANCE` is alike.
    """
    return [
        one
        for i, one in enumerate(tried)
        if not any(_beats(other, one, j < i) for j, other in enumerate(tried) if j != i)
    ]


def _beats(one: Tried, other: Tried, earlier: bool) -> bool:
    pairs = list(zip(one.costs, other.costs, strict=True))
    lost = list(zip(one.lost, other.lost, strict=True))
    if any(a > b for a, b in lost) or any(a > b * CHANCE for a, b in pairs):
        return False
    return earlier or any(a < b for a, b in lost) or any(a * CHANCE < b for a, b in pairs)


def fastest(tried: Sequence[Tried], batch: int, most: float, changed: float = 1.0) -> Tried | None:
    """The quickest for requests of `batch` rows among those that lose at most `most` and answer at most the share
    `changed` of rows otherwise; None where none may be taken.

    Of alike quick ones the smallest, then the first.
    """
    good = [one for one in tried if one.variant.same or one.loss.within(most, changed)]
    if not good:
        return None
    least = min(one.cost.micros[batch] for one in good)
    quick = [one for one in good if one.cost.micros[batch] <= least * CHANCE]
    small = min(one.cost.bytes for one in quick)
    return next(one for one in quick if one.cost.bytes <= small * CHANCE)
