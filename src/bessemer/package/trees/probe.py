"""Whether a walker gives what onnxruntime gives: rows that are made to tell them apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bessemer.package.trees.kernel import score

#: Rows that are made; and how many of all are also scored alone, as a single row is walked in another way.
_ROWS, _ALONE = 256, 16


def probes(ensembles: Sequence[Mapping[str, Any]], features: int) -> np.ndarray:
    """(256, features) float32 rows around the thresholds of some trees, the same for the same trees.

    A value is a threshold of its feature, the float before or after one, NaN, an infinity, a zero or any number.
    """
    rng = np.random.default_rng(0)
    feature = np.concatenate([np.asarray(e["feature"])[np.asarray(e["left"]) >= 0] for e in ensembles])
    threshold = np.concatenate([np.asarray(e["threshold"])[np.asarray(e["left"]) >= 0] for e in ensembles])
    order = np.argsort(feature, kind="stable")
    feature, threshold = feature[order], threshold[order]
    first = np.searchsorted(feature, np.arange(features + 1))
    x = rng.normal(size=(_ROWS, features)).astype(np.float32)
    for f in np.unique(feature).tolist():
        own = threshold[rng.integers(first[f], first[f + 1], _ROWS)]
        aside = rng.choice(np.array([-np.inf, 0, np.inf], dtype=np.float32), _ROWS)
        with np.errstate(over="ignore"):
            x[:, f] = np.where(aside == 0, own, np.nextafter(own, aside))
    odd = rng.choice(np.array([np.nan, np.inf, -np.inf, 0.0, -0.0], dtype=np.float32), x.shape)
    x[rng.random(x.shape) < 0.1] = 0
    found: np.ndarray = np.where(rng.random(x.shape) < 0.15, odd, x)
    return found


def agree(walkers: Mapping[str, Any], session: Any, value: str, x: np.ndarray) -> bool:
    """Whether walkers give the very bits that onnxruntime gives.

    Args:
        walkers: of each value that a TreeEnsembleRegressor makes.
        session: an onnxruntime session from `value` to these values.
        x: rows (N, F) float32.
    """
    return all(
        score(walkers[name], rows).tobytes() == found.tobytes()
        for rows in (x, *(x[i : i + 1] for i in range(min(len(x), _ALONE))))
        for name, found in zip(walkers, session.run(list(walkers), {value: rows}), strict=True)
    )
