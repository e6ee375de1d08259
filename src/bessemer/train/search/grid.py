"""Every combination of a few values of each parameter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar


class Grid:
    """Every combination of a few values of each parameter."""

    NAME: ClassVar[str] = "grid"
    MIXED: ClassVar[bool] = False
    WALKS: ClassVar[bool] = True

    def sampler(self, seed: int, grid: Mapping[str, Sequence[Any]]) -> Any:
        import optuna

        return optuna.samplers.GridSampler(dict(grid), seed=seed)

    def pruner(self, folds: int) -> Any:
        import optuna

        return optuna.pruners.NopPruner()
