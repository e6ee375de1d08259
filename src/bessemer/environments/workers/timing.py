"""How long a runtime takes for a row. No test and no record of an export asks: only benchmarks do."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

#: Rows that are asked for at once.
BATCHES = (1, 64)
_SECONDS = 0.2


def microseconds_a_row(run: Callable[[np.ndarray], Any], rows: np.ndarray) -> dict[str, float]:
    """The median time for a row when 1 and when 64 are asked for at once, by that number as text.

    Args:
        run: asks the runtime. rows: (N, F); repeated or cut to what is needed.
    """
    return {str(n): _median(run, np.resize(rows, (n, *rows.shape[1:]))) / n for n in BATCHES}


def _median(run: Callable[[np.ndarray], Any], rows: np.ndarray) -> float:
    for _ in range(3):
        run(rows)
    took: list[float] = []
    end = time.perf_counter() + _SECONDS
    while time.perf_counter() < end or len(took) < 5:
        start = time.perf_counter()
        run(rows)
        took.append(time.perf_counter() - start)
    return float(np.median(took)) * 1e6
