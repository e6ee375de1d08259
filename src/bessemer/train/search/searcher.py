"""The protocol of a searcher."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol


class Searcher(Protocol):
    """A pair of Optuna's sampler and pruner.

    NAME: its name in the table.
    MIXED: whether it can also draw the learner; else the best one so far is searched alone.
    WALKS: whether it walks a list of its own, and learns nothing from what others have found.
    """

    NAME: ClassVar[str]
    MIXED: ClassVar[bool]
    WALKS: ClassVar[bool]

    def sampler(self, seed: int, grid: Mapping[str, Sequence[Any]]) -> Any:
        """An optuna sampler. `grid` has a few values for each parameter, for those that walk a grid."""
        ...

    def pruner(self, folds: int) -> Any:
        """An optuna pruner; it is told the metric after each of so many folds."""
        ...
