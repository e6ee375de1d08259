"""Values drawn at random (Bergstra and Bengio 2012)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class Random:
    """Values drawn at random (Bergstra and Bengio 2012)."""

    NAME: ClassVar[str] = "random"
    MIXED: ClassVar[bool] = True
    WALKS: ClassVar[bool] = False

    def sampler(self, seed: int, grid: Mapping[str, Sequence[Any]]) -> Any:
        import optuna

        return optuna.samplers.RandomSampler(seed=seed)

    def pruner(self, folds: int) -> Any:
        import optuna

        return optuna.pruners.MedianPruner(n_startup_trials=5)
