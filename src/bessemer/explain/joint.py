"""The joint effect of pairs of columns, and how much of it is more than the sum of the two alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from bessemer.explain.ask import ask

if TYPE_CHECKING:
    from bessemer.explain.sample import Floats, Sample
    from bessemer.explain.subject import Subject

Ints = npt.NDArray[np.int64]

#: The relative difference of float32 scores that is chance: sums of many of them are not exactly equal where the
#: model adds.
NOISE = 4e-7


@dataclass(frozen=True)
class Joint:
    """What a pair of columns does together, under W weightings of the rows.

    columns: the pair. h: Friedman's H, float64 (W,), 0 where there is no joint effect or the model adds. H² is the
    share of the pair's joint partial dependence that is not the sum of the two alone, added over the outputs.
    size: the root of the mean square of that part, float64 (W,), in units of the score.
    """

    columns: tuple[str, str]
    h: Floats
    size: Floats


def joints(
    columns: list[str],
    rows: Ints,
    weights: Floats,
    subject: Subject,
    sample: Sample,
    advance: Callable[[], None],
) -> Iterator[Joint]:
    """Each pair of the columns: M rows are asked about with the values that each of them has, M² for a pair.

    Args:
        rows: int64 (M,), positions in the sample: both those that give values and those that are averaged over.
        weights: float64 (W, M), weightings of these rows; each is one column of the results.
    """
    asked, donors = np.tile(rows, len(rows)), np.repeat(rows, len(rows))
    shares = weights / weights.sum(axis=1, keepdims=True)

    def scored(*names: str) -> Floats:
        advance()
        scores = ask(subject, sample.table, asked, dict.fromkeys(names, donors))
        return scores.reshape(len(rows), len(rows), -1)

    alone = {name: dependence(scored(name), shares) for name in columns}
    for a, b in combinations(columns, 2):
        scores = scored(a, b)
        both = dependence(scores, shares)
        more = _mean_square(both - alone[a] - alone[b], shares)
        more[more <= (NOISE * float(np.abs(scores).max(initial=0.0))) ** 2] = 0.0
        whole = _mean_square(both, shares)
        yield Joint((a, b), np.sqrt(more / np.where(more > 0, whole, 1.0)), np.sqrt(more))


def dependence(scores: Floats, shares: Floats) -> Floats:
    """The partial dependence at each donor's value, with a mean of 0 over the rows: float64 (W, M, K).

    Args:
        scores: float64 (M, M, K), [donor, row, output].
        shares: float64 (W, M), the weights of the rows, summing to 1.
    """
    means = np.einsum("wr,drk->wdk", shares, scores)  # not by BLAS, whose sums depend on the machine
    centred: Floats = means - np.einsum("wd,wdk->wk", shares, means)[:, None, :]
    return centred


def _mean_square(values: Floats, shares: Floats) -> Floats:
    found: Floats = np.einsum("wd,wdk->w", shares, values**2)
    return found
