"""Random values, and asynchronous successive halving over the folds (Li et al. 2020)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class ASHA:
    """Random values, and asynchronous successive halving over the folds (Li et al. 2020)."""

    NAME: ClassVar[str] = "asha"
    MIXED: ClassVar[bool] = True
    WALKS: ClassVar[bool] = False

    def sampler(self, seed: int, grid: Mapping[str, Sequence[Any]]) -> Any:
        import optuna

        return optuna.samplers.RandomSampler(seed=seed)

    def pruner(self, folds: int) -> Any:
        import optuna

        return optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=2)
