"""R-NSGA-III, as pymoo has it, over typed columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def evolved(
    aims: Callable[[Floats], Floats],
    repair: Callable[[Floats], Floats],
    box: tuple[Floats, Floats, Floats],
    drawn: npt.NDArray[np.bool_],
    size: tuple[int, int],
    rng: np.random.Generator,
) -> None:
    """Let rows (n, V) evolve towards two small aims (n, 2); who calls keeps what it wants of those that are shown.

    Args:
        repair: the nearest rows (n, V) that may be. box: the row itself, and between which values are, (V,) each.
        drawn: (V,) whether a variable has no order, and changes by lot. size: generations, and rows that live.
    """
    from pymoo.algorithms.moo.rnsga3 import RNSGA3
    from pymoo.core.mutation import Mutation
    from pymoo.core.problem import Problem
    from pymoo.core.repair import Repair
    from pymoo.operators.crossover.pntx import TwoPointCrossover
    from pymoo.operators.mutation.pm import PM
    from pymoo.optimize import minimize
    from pymoo.util.ref_dirs import get_reference_directions

    own, low, high = box
    generations, population = size

    class Row(Problem):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(n_var=len(own), n_obj=2, xl=low, xu=high)

        def _evaluate(self, x: Floats, out: dict[str, Any], *args: Any, **more: Any) -> None:
            out["F"] = aims(x)

    class Repaired(Repair):  # type: ignore[misc]
        def _do(self, problem: Any, x: Floats, **more: Any) -> Floats:
            return repair(np.asarray(x, dtype=np.float64))

    class Mixed(Mutation):  # type: ignore[misc]
        """Polynomial steps of what has an order (eta 20, as the authors'), another value by lot of what has none."""

        def _do(self, problem: Any, x: Floats, **more: Any) -> Floats:
            moved = np.asarray(PM(eta=20)._do(problem, np.array(x, dtype=np.float64), **more))
            lots = np.floor(rng.uniform(low, high + 1, x.shape))
            changed = drawn & (rng.random(x.shape) < 1 / len(own))
            return np.where(drawn, np.where(changed, np.minimum(lots, high), x), moved)

    algorithm = RNSGA3(
        ref_points=get_reference_directions("das-dennis", 2, n_partitions=population - 1),
        pop_per_ref_point=1,
        n_offsprings=population,
        sampling=repair(_first(own, low, high, population, rng)),
        crossover=TwoPointCrossover(),
        mutation=Mixed(),
        repair=Repaired(),
        eliminate_duplicates=False,
    )
    seed = int(rng.integers(2**31))
    minimize(Row(), algorithm, ("n_gen", generations), seed=seed, verbose=False, copy_algorithm=False)


def _first(own: Floats, low: Floats, high: Floats, rows: int, rng: np.random.Generator) -> Floats:
    """(rows, V): the row itself, and copies of it with ever more values drawn anew."""
    drawn = rng.uniform(low, high, (rows, len(own)))
    changed = rng.random(drawn.shape) < np.linspace(0, 1, rows)[:, None]
    return np.where(changed, drawn, own)
