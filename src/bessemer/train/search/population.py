"""A population that is crossed and mutated, NSGA-II (Deb et al. 2002)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class Population:
    """A population that is crossed and mutated, NSGA-II (Deb et al. 2002)."""

    NAME: ClassVar[str] = "population"
    MIXED: ClassVar[bool] = True
    WALKS: ClassVar[bool] = False

    def sampler(self, seed: int, grid: Mapping[str, Sequence[Any]]) -> Any:
        import optuna

        return optuna.samplers.NSGAIISampler(seed=seed, population_size=12)

    def pruner(self, folds: int) -> Any:
        import optuna

        return optuna.pruners.NopPruner()
