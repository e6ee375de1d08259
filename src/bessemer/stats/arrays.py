"""Words that the array functions share: types, weighted sums, figures for JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]

#: Weights of rows: float64 (n,), each >= 0; None means 1 for every row.
Weights: TypeAlias = NDArray[np.float64] | None


def weighted(weights: Weights, values: Floats) -> float:
    """The sum of weights * values, added pairwise, so that it does not depend on a BLAS or its threads."""
    return float(np.sum(values if weights is None else weights * values))


def total(weights: Weights, rows: int) -> float:
    return float(rows) if weights is None else float(np.sum(weights))


def ratio(top: float, bottom: float, otherwise: float = math.nan) -> float:
    """top / bottom, or `otherwise` where the bottom is zero.

    >>> ratio(1, 4), ratio(1, 0, 0.0)
    (0.25, 0.0)
    """
    return top / bottom if bottom != 0 else otherwise


def shown(value: float) -> str:
    """A figure for a sentence: four significant digits, whole and with commas from 10,000 on.

    >>> shown(0.74213), shown(66020.81), shown(-3.0)
    ('0.7421', '66,021', '-3')
    """
    return f"{value:,.0f}" if 10_000 <= abs(value) < 1e15 else f"{value:.4g}"


def tidy(value: Any, digits: int = 9) -> Any:
    """Numbers for a JSON file: `digits` significant digits, None for NaN and infinity; containers throughout.

    >>> tidy({"a": [0.1 + 0.2, float("nan"), 3]})
    {'a': [0.3, None, 3]}
    """
    if isinstance(value, Mapping):
        return {key: tidy(item, digits) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [tidy(item, digits) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return tidy(value.tolist(), digits)
    if isinstance(value, float):
        return float(f"{value:.{digits}g}") if math.isfinite(value) else None
    return value
