"""The table of searchers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bessemer.core.plugins import PluginRef, PluginTable

if TYPE_CHECKING:
    from bessemer.train.search.searcher import Searcher


def _ref(target: str, summary: str, *more: str) -> PluginRef:
    return PluginRef(
        f"bessemer.train.search.{target}", extra="search", requires=("optuna", *more), summary=summary
    )


SEARCHERS: PluginTable[Searcher] = PluginTable(
    "bessemer.searchers",
    {
        "tpe": _ref("tpe:TPE", "Parzen estimators; bad trials stop early"),
        "random": _ref("random:Random", "values at random"),
        "grid": _ref("grid:Grid", "all combinations of a few values, for the best learner"),
        "hyperband": _ref("hyperband:Hyperband", "Parzen estimators with Hyperband over the folds"),
        "asha": _ref("asha:ASHA", "random values with successive halving over the folds"),
        "cmaes": _ref("cmaes:CMAES", "CMA-ES, for the best learner", "cmaes"),
        "population": _ref("population:Population", "a population, crossed and mutated"),
    },
)
