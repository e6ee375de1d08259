"""OpenMP threads that spin for a moment and then sleep."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def spin_briefly() -> None:
    """Bound how long a waiting thread spins. Call it before a library that uses OpenMP is imported for the first time.

    On two idle cores, threads that sleep at once made boosting ten times slower: a round is shorter than waking them
    up. On two busy cores, threads that spin for GNU OpenMP's usual time take the core from those who work and made it
    twice as slow. Ten thousand turns cost nothing in either case. What the user has set stays.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")


def worth_threads(X: np.ndarray) -> bool:
    """Whether a training matrix is large enough: below, handing work to threads costs more than it saves."""
    return X.size >= 500_000
