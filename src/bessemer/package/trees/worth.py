"""What a leaf is worth to the players of its path, for every pattern of a row: the tables that `tabled.py` looks up.

Bit i of a pattern is 1 where a row keeps the path's conditions on player i. With the players S known a leaf of value
v is worth v * P(every player not in S keeps its conditions), if the row p keeps those in S. Where the others'
patterns q have the weights c, the Shapley value of player i is

    v * sum over q of c[q] (p_i - q_i) * integral from 0 to 1 of prod(q_j (1 - t) + p_j t for j != i) dt

because the weights |S|! (d - 1 - |S|)! / d! of the orders are Beta integrals. Two games differ in c alone: the
patterns of background rows (interventional), or those of independent players (path-dependent, Lundberg et al. 2020).
For each t the sum is one 2 x 2 matrix a player, applied along 2^d numbers; the integrand is a polynomial of degree
below d, so Gauss and Legendre's rule with ceil(d / 2) points is exact. The interaction index of Grabisch and Roubens
(1999) has the factor (p_i - q_i) (p_j - q_j) instead, and the product over the rest.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

#: Float64 numbers of one block of leaves while their tables are made.
_BLOCK = 1 << 20


def independent(share: np.ndarray) -> np.ndarray:
    """(P, 2^d) weights of patterns where player i keeps its conditions with probability share (P, d), by itself.

    >>> independent(np.array([[0.75]])).tolist()
    [[0.25, 0.75]]
    """
    found = np.ones((len(share), 1))
    for i in range(share.shape[1]):
        keeps = share[:, i, None]
        found = np.concatenate([found * (1 - keeps), found * keeps], axis=1)
    return found


def observed(patterns: np.ndarray, players: int) -> np.ndarray:
    """(P, 2^d) weights of the patterns (B, P) of B rows, each row 1 / B.

    >>> observed(np.array([[1], [0], [1], [1]]), 1).tolist()
    [[0.25, 0.75]]
    """
    rows, leaves = patterns.shape
    place = patterns.astype(np.int64) + (np.arange(leaves) << players)
    found: np.ndarray = np.bincount(place.reshape(-1), minlength=leaves << players) / rows
    return found.reshape(leaves, 1 << players)


def worth(weights: np.ndarray, order: int = 1) -> np.ndarray:
    """What a leaf of value 1 is worth, for each pattern of a row.

    Args:
        weights: (P, 2^d) float64, c of each leaf; sums to 1.
        order: 1 for players, 2 for pairs of them.

    Returns:
        (P, 2^d, W) float64: W is d, or d (d - 1) / 2 in the order of `itertools.combinations`.

    >>> worth(np.array([[0.25, 0.75]])).tolist()
    [[[-0.75], [0.25]]]
    """
    leaves, patterns = weights.shape
    players = patterns.bit_length() - 1
    chosen = list(combinations(range(players), order))
    found = np.zeros((leaves, patterns, len(chosen)))
    step = max(1, _BLOCK // (patterns * max(1, len(chosen))))
    for start in range(0, leaves if chosen else 0, step):
        part = slice(start, start + step)
        found[part] = _integral(weights[part], players, chosen)
    return found


def _integral(weights: np.ndarray, players: int, chosen: list[tuple[int, ...]]) -> np.ndarray:
    points, shares = np.polynomial.legendre.leggauss((players + 1) // 2)
    total = np.zeros((*weights.shape, len(chosen)))
    for point, share in zip((points + 1) / 2, shares / 2, strict=True):
        all_known = weights
        for player in range(players):
            all_known = _applied(all_known, player, ((0.0, 1 - point), (point, 1.0)))
        # (p - q) in place of q (1 - t) + p t: its matrix times the inverse of the one above
        step = ((-1 / (1 - point), 0.0), (-1 / (point * (1 - point)), 1 / point))
        for place, some in enumerate(chosen):
            moved = all_known
            for player in some:
                moved = _applied(moved, player, step)
            total[:, :, place] += share * moved
    return total


def _applied(values: np.ndarray, player: int, matrix: tuple[tuple[float, float], ...]) -> np.ndarray:
    """(P, 2^d) with a 2 x 2 matrix applied along one player's bit."""
    (a, b), (c, d) = matrix
    split = values.reshape(len(values), -1, 2, 1 << player)
    low, high = split[:, :, 0], split[:, :, 1]
    return np.stack([a * low + b * high, c * low + d * high], axis=2).reshape(values.shape)
