"""What a thief trains: LightGBM on rows that were not the owner's."""

from __future__ import annotations

from typing import Any

import numpy as np

from bessemer.core.errors import MissingExtra
from bessemer.protect.removals.removal import Stolen

_OBJECTIVES = {"binary": "binary", "multiclass": "multiclass", "regression": "regression"}


def boosted(stolen: Stolen, y: np.ndarray, rounds: int, start: np.ndarray | None = None) -> Any:
    """A booster of the thief's rows.

    Args:
        y: (N,) what it is to learn. start: (N, K') margins that it goes on from.

    Raises:
        MissingExtra: LightGBM is not installed.
    """
    try:
        import lightgbm
    except ModuleNotFoundError:
        raise MissingExtra("this removal", "lightgbm", "lightgbm") from None
    params = {
        "objective": _OBJECTIVES[stolen.task],
        "learning_rate": 0.05,
        "num_leaves": 31,
        "seed": stolen.seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "verbosity": -1,
        **({"num_class": stolen.classes} if stolen.task == "multiclass" else {}),
    }
    given = None if start is None else np.asarray(start).ravel(order="F")
    data = lightgbm.Dataset(np.asarray(stolen.X), label=y, init_score=given)
    return lightgbm.train(params, data, num_boost_round=rounds)
