"""Parzen estimators, and Hyperband over the folds (Li et al. 2018)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class Hyperband:
    """Parzen estimators, and Hyperband over the folds (Li et al. 2018)."""

    NAME: ClassVar[str] = "hyperband"
    MIXED: ClassVar[bool] = True
    WALKS: ClassVar[bool] = False

    def sampler(self, seed: int, grid: Mapping[str, Sequence[Any]]) -> Any:
        import optuna

        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=8)

    def pruner(self, folds: int) -> Any:
        import optuna

        return optuna.pruners.HyperbandPruner(min_resource=1, max_resource=max(folds, 2), reduction_factor=2)
