"""Few rows that stand for many: chosen so that their distribution is nearest, by maximum mean discrepancy.

Source: Kim, Khanna and Koyejo, "Examples are not enough, learn to criticize!", NeurIPS 2016 (MMD-critic); Gretton et
al., "A kernel two-sample test", JMLR 13 (2012).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from bessemer.explain.sample import Floats

#: Added to the diagonal, so that equal rows have a determinant.
_JITTER = 1e-6


def kernel(distance: Floats) -> Floats:
    """exp(-d / median d) of distances (N, N); all 1 where no two rows differ.

    >>> kernel(np.array([[0.0, 2.0], [2.0, 0.0]])).round(3).tolist()
    [[1.0, 0.368], [0.368, 1.0]]
    """
    apart = distance[~np.eye(len(distance), dtype=bool)]
    width = float(np.median(apart)) if len(apart) else 0.0
    if width <= 0:
        width = float(apart.mean()) if len(apart) and apart.mean() > 0 else 1.0
    found: Floats = np.exp(-distance / width)
    return found


def mmd2(k: Floats, chosen: list[int]) -> float:
    """The squared discrepancy between the chosen rows and all rows of a kernel matrix (N, N); 0 for all of them."""
    part = k[chosen]
    return max(0.0, float(k.mean() - 2 * part.mean() + part[:, chosen].mean()))


def prototypes(k: Floats, count: int) -> list[int]:
    """Up to `count` rows, greedily: each next one brings the discrepancy down most.

    >>> near = np.array([[1.0, 0.9, 0.1], [0.9, 1.0, 0.1], [0.1, 0.1, 1.0]])
    >>> prototypes(near, 2)
    [0, 2]
    """
    mean, own = k.mean(axis=1), np.diag(k)
    taken: list[int] = []
    to_all, among, between = 0.0, 0.0, np.zeros(len(k))
    while len(taken) < min(count, len(k)):
        size = len(taken) + 1
        worth = 2 * (to_all + mean) / size - (among + 2 * between + own) / size**2
        worth[taken] = -np.inf
        best = int(np.argmax(worth))
        to_all, among = to_all + mean[best], among + 2 * between[best] + own[best]
        between = between + k[:, best]
        taken.append(best)
    return taken


def criticisms(k: Floats, chosen: list[int], count: int) -> list[int]:
    """Up to `count` rows that the chosen ones stand for worst: of large witness, and unlike each other."""
    witness = np.abs(k.mean(axis=1) - k[:, chosen].mean(axis=1))
    left = (
        np.diag(k) + _JITTER
    )  # what each row's own variance is, given those taken: the factor of the determinant
    parts = np.zeros((0, len(k)))
    taken: list[int] = []
    while len(taken) < min(count, len(k) - len(chosen)):
        worth = witness + np.log(np.maximum(left, _JITTER))
        worth[[*chosen, *taken]] = -np.inf
        best = int(np.argmax(worth))
        row = (k[best] - parts[:, best] @ parts) / np.sqrt(max(left[best], _JITTER))
        parts, left = np.vstack([parts, row]), left - row**2
        taken.append(best)
    return taken
