"""Tree-structured Parzen estimators (Bergstra et al. 2011)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class TPE:
    """Tree-structured Parzen estimators (Bergstra et al. 2011)."""

    NAME: ClassVar[str] = "tpe"
    MIXED: ClassVar[bool] = True
    WALKS: ClassVar[bool] = False

    def sampler(self, seed: int, grid: Mapping[str, Sequence[Any]]) -> Any:
        import optuna

        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=8)

    def pruner(self, folds: int) -> Any:
        import optuna

        return optuna.pruners.MedianPruner(n_startup_trials=5)
