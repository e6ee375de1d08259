"""Whether the last part of a stream of errors has more of them than the part before: an exact test over splits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from bessemer.stats.arrays import Ints

#: Neighbouring splits differ by this factor in how much they leave at the end.
_RATIO = 1.1


@dataclass(frozen=True)
class Rise:
    """labels, errors: of the last part. before, errors_before: of what came before.

    splits: how many were looked at. p_value: how likely it is that any split of a stream without a change looks so
    much like a rise.
    """

    labels: int
    errors: int
    before: int
    errors_before: int
    splits: int
    p_value: float

    def critical(self, probability: float) -> float:
        """About by how much the rate of the last part must be above that before, to be so by chance as rarely."""
        rows = self.labels + self.before
        rate = (self.errors + self.errors_before) / rows
        spread = math.sqrt(rate * (1 - rate) * (1 / self.labels + 1 / self.before))
        return -NormalDist().inv_cdf(max(probability / self.splits, 1e-300)) * spread


def latest_rise(errors: ArrayLike, least: int = 10) -> Rise | None:
    """The split of errors (n,), 0 or 1, after which too many are wrong most surely; None for fewer than 2 `least`.

    At each of about log(n) / log(1.1) splits the errors of the last part are hypergeometric, given all errors, when
    nothing has changed (Fisher 1935); the smallest p-value is multiplied by the number of splits (Bonferroni). No rate
    of errors needs to be known.

    >>> found = latest_rise([0, 0, 0, 0, 1] * 40 + [0, 1] * 50)
    >>> found.labels, found.errors, found.p_value < 1e-4
    (98, 49, True)
    >>> latest_rise([0, 0, 0, 0, 1] * 40).p_value
    1.0
    """
    from scipy.stats import hypergeom

    wrong = np.asarray(errors, dtype=np.int64)
    total = len(wrong)
    if total < 2 * least:
        return None
    lengths = _lengths(total, least)
    sums = np.concatenate([[0], np.cumsum(wrong)])
    late = sums[-1] - sums[total - lengths]
    p = hypergeom.sf(late - 1, total, int(sums[-1]), lengths)
    best = int(np.argmin(p))
    labels, found = int(lengths[best]), int(late[best])
    chance = min(1.0, float(p[best]) * len(lengths))
    return Rise(labels, found, total - labels, int(sums[-1]) - found, len(lengths), chance)


def _lengths(total: int, least: int) -> Ints:
    """How long the last part is at each split: from `least` to all but `least`, in powers of the ratio."""
    steps = np.arange(int(np.log((total - least) / least) / np.log(_RATIO)) + 1)
    return np.unique((least * _RATIO**steps).astype(np.int64))
