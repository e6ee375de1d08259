"""CMA-ES, for the numbers among the parameters (Hansen 2016)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class CMAES:
    """CMA-ES, for the numbers among the parameters (Hansen 2016)."""

    NAME: ClassVar[str] = "cmaes"
    MIXED: ClassVar[bool] = False
    WALKS: ClassVar[bool] = False

    def sampler(self, seed: int, grid: Mapping[str, Sequence[Any]]) -> Any:
        import optuna

        return optuna.samplers.CmaEsSampler(seed=seed)

    def pruner(self, folds: int) -> Any:
        import optuna

        return optuna.pruners.MedianPruner(n_startup_trials=5)
