"""Random Fourier features: cosines whose means tell distributions apart (Rahimi and Recht 2007).

What is random follows from a label by SHAKE-256, so that it is the same in every version of every library: a reference
need not keep it.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np
from numpy.typing import NDArray

from bessemer.stats.arrays import Floats

#: How far the phases spread, in variances, in turn: a small one sees shifts, a great one how columns go together.
SPREADS = (1.0, 3.0)


def uniforms(label: str, size: int) -> Floats:
    """Numbers (size,) in (0, 1) that follow from a label.

    >>> uniforms("a", 3).round(3).tolist()
    [0.859, 0.613, 0.79]
    """
    raw = np.frombuffer(hashlib.shake_256(label.encode()).digest(8 * size), dtype="<u8")
    return np.asarray(((raw >> 11).astype(np.float64) + 0.5) * 2.0**-53)


def normals(label: str, size: int) -> Floats:
    """Standard normal numbers (size,) that follow from a label."""
    from scipy.special import ndtri

    return np.asarray(ndtri(uniforms(label, size)), dtype=np.float64)


def frequencies(label: str, features: int) -> Floats:
    """The weights (features,) of a coordinate of variance 1, as a share of the whole variance, in the phases.

    Of d coordinates divide them by the root of d.
    """
    spread = np.sqrt(np.resize(np.asarray(SPREADS), features))
    return normals(label, features) * spread


def cosines(phases: NDArray[np.floating], label: str) -> Floats:
    """Features (n, k) in [-1.42, 1.42] from phases (n, k), each shifted by an angle that follows from a label.

    float32 is enough for what is averaged over many rows, and its cosine takes a twelfth of the time.
    """
    shift = (2 * math.pi * uniforms(label, phases.shape[1])).astype(phases.dtype)
    made: Floats = np.cos(phases + shift).astype(np.float64)
    made *= math.sqrt(2)
    return made
