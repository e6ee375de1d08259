"""How many predictions of each kind are wrong: what is normal, and what of it has changed in later rows.

A classifier's rows are ordered by a probability, those of a regression by the prediction, and cut into bins. Within a
bin all rows are as hard to the model. A wrong number is one whose error is greater than a limit that one row in ten
exceeds in its bin.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from bessemer.stats.arrays import Bools, Floats, Ints
from bessemer.stats.binning import quantile_edges

#: A regression's prediction is wrong where its error is among the greatest of this share.
LARGE = 0.1


@dataclass(frozen=True)
class ErrorBins:
    """edges: of bins of a probability or prediction (bins + 1,). counts, errors: rows in each, and the wrong ones.

    limits: the absolute error beyond which a number is wrong, (bins,); empty for classes.
    """

    edges: Floats
    counts: Floats
    errors: Floats
    limits: Floats

    @property
    def rate(self) -> float:
        return float(self.errors.sum() / self.counts.sum()) if self.counts.sum() else math.nan

    def places(self, order: ArrayLike) -> Ints:
        """The bin of each row by its probability or prediction (n,), none NaN."""
        return np.searchsorted(self.edges[1:-1], np.asarray(order, dtype=np.float64))

    def wrong(self, truth: ArrayLike, predicted: ArrayLike) -> Bools:
        """Which rows (n,) are wrong, by class index or number."""
        y, said = np.asarray(truth, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
        if not len(self.limits):
            return np.asarray(y != said)
        return np.asarray(np.abs(y - said) > self.limits[self.places(said)])


def order_of(task: str, probability: ArrayLike) -> Floats:
    """What puts rows of a classifier in bins: of probabilities (n, classes) the positive class's, or the greatest.

    >>> order_of("binary", [[0.75, 0.25]]).tolist(), order_of("multiclass", [[0.75, 0.25, 0.0]]).tolist()
    ([0.25], [0.75])
    """
    given = np.asarray(probability, dtype=np.float64)
    return np.asarray(given[:, 1] if task == "binary" else given.max(axis=1))


def error_bins(truth: ArrayLike, predicted: ArrayLike, order: ArrayLike | None, bins: int) -> ErrorBins:
    """The errors of rows (n,), n > 0, in bins of about as many rows each.

    Args:
        truth, predicted: class indices; or numbers.
        order: a probability (n,) that puts rows of a classifier in bins. None: truth and predicted are numbers, and
            rows are put in bins by what was predicted.

    >>> found = error_bins([0, 0, 1, 1], [0, 1, 1, 1], [0.1, 0.6, 0.7, 0.9], 2)
    >>> found.counts.tolist(), found.errors.tolist()
    ([2.0, 2.0], [1.0, 0.0])
    """
    y, said = np.asarray(truth, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    by = said if order is None else np.asarray(order, dtype=np.float64)
    edges = np.asarray(quantile_edges(by, bins), dtype=np.float64)
    place = np.searchsorted(edges[1:-1], by)
    count = len(edges) - 1
    limits = np.zeros(0)
    if order is None:
        far = np.abs(y - said)
        limits = np.array([_limit(far[place == k]) for k in range(count)])
    found = ErrorBins(edges, np.bincount(place, minlength=count).astype(np.float64), np.zeros(count), limits)
    wrong = found.wrong(y, said)
    errors = np.bincount(place, wrong, minlength=count).astype(np.float64)
    return ErrorBins(edges, found.counts, errors, limits)


def _limit(errors: Floats) -> float:
    return float(np.quantile(errors, 1 - LARGE, method="inverted_cdf")) if len(errors) else math.inf


@dataclass(frozen=True)
class Split:
    """By how much the error rate has changed, and why (Kitagawa 1955): `harder` and `relation` add up to all of it.

    before, now: rates. harder: what follows from other rows, at the error rates of before. relation: what follows from
    other errors on such rows. spread_...: standard deviations. alike: the rate now if rows were as before.
    """

    before: float
    now: float
    harder: float
    relation: float
    spread_harder: float
    spread_relation: float
    alike: float


def split(known: ErrorBins, counts: ArrayLike, errors: ArrayLike) -> Split:
    """Compare rows with what is known of them. counts, errors: rows and wrong rows in the same bins (bins,).

    >>> known = ErrorBins(np.array([0.0, 0.5, 1.0]), np.array([500.0, 500.0]), np.array([50.0, 150.0]), np.zeros(0))
    >>> found = split(known, [200, 800], [20, 240])
    >>> round(found.now - found.before, 3), round(found.harder, 3), round(found.relation, 3)
    (0.06, 0.06, 0.0)
    """
    n, k = np.asarray(counts, dtype=np.float64), np.asarray(errors, dtype=np.float64)
    rate = known.errors / np.maximum(known.counts, 1)
    here, there = n / n.sum(), known.counts / known.counts.sum()
    pooled = (known.errors + k + 0.5) / (known.counts + n + 1)
    each = pooled * (1 - pooled)
    expected = float(here @ rate)
    variance_of_rates = float(((here - there) ** 2 * each / np.maximum(known.counts, 1)).sum())
    spread = float(there @ rate**2 - (there @ rate) ** 2)
    seen = n > 0
    alike = float(there[seen] @ (k[seen] / n[seen]) / there[seen].sum()) if there[seen].sum() else math.nan
    return Split(
        known.rate,
        float(k.sum() / n.sum()),
        expected - known.rate,
        float(k.sum() / n.sum()) - expected,
        math.sqrt(max(0.0, spread) * (1 / n.sum() + 1 / known.counts.sum()) + variance_of_rates),
        math.sqrt(float((here**2 * each * (1 / np.maximum(n, 1) + 1 / np.maximum(known.counts, 1))).sum())),
        alike,
    )


#: Up to so many different numbers of errors their law is exact, beyond it is normal.
_EXACT = 20_000


def relation_p(known: ErrorBins, counts: ArrayLike, errors: ArrayLike) -> tuple[float, float]:
    """How likely so many errors are, or more, if such rows have them as often as before; and so many or fewer.

    The stratified exact test of two samples: given all errors of a bin, those of one sample are hypergeometric there,
    and the bins are added up (Cochran 1954; Mantel and Haenszel 1959; exact after Gart 1970). With very many rows the
    normal law takes the place of the sum.

    >>> known = ErrorBins(np.array([0.0, 1.0]), np.array([100.0]), np.array([10.0]), np.zeros(0))
    >>> [round(p, 4) for p in relation_p(known, [100], [20])]  # as Fisher's exact test of 20 against 10
    [0.0367, 0.9859]
    """
    n, k = np.asarray(counts, dtype=np.int64), np.asarray(errors, dtype=np.int64)
    before, wrong = known.counts.astype(np.int64), known.errors.astype(np.int64)
    total, marked = n + before, k + wrong
    low, high = np.maximum(0, marked - before), np.minimum(n, marked)
    if int((high - low).sum()) > _EXACT:
        return _normal(total, marked, n, k)
    from scipy.stats import hypergeom

    law = np.ones(1)
    for size, m, drawn, a, b in zip(total, marked, n, low, high, strict=True):
        law = np.convolve(law, hypergeom.pmf(np.arange(a, b + 1), size, m, drawn))
    place = int(k.sum() - low.sum())
    return min(1.0, float(law[place:].sum())), min(1.0, float(law[: place + 1].sum()))


def _normal(total: Ints, marked: Ints, n: Ints, k: Ints) -> tuple[float, float]:
    share = marked / np.maximum(total, 1)
    mean = float((n * share).sum())
    each = n * share * (1 - share) * (total - n) / np.maximum(total - 1, 1)
    spread = math.sqrt(float(each.sum())) * math.sqrt(2)
    above = math.erfc((float(k.sum()) - 0.5 - mean) / spread) / 2
    return above, math.erfc((mean - float(k.sum()) - 0.5) / spread) / 2
