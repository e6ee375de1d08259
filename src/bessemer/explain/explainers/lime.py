"""LIME: a small linear model that says what the model does near one row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field

from bessemer.core.spec import Spec
from bessemer.explain.bins import same_as
from bessemer.explain.explanation import Baseline, Error, Explanation, Kind
from bessemer.explain.local import explained_rows, named_class, output_of
from bessemer.explain.perturb import pool

if TYPE_CHECKING:
    import numpy.typing as npt

    from bessemer.core.stage import Context
    from bessemer.explain.perturb import Places, Pool
    from bessemer.explain.sample import Floats, Sample
    from bessemer.explain.subject import Subject

#: Strength of the ridge penalty, as in the paper's code.
RIDGE = 1.0

#: How many background rows neighbours take their values from.
BACKGROUND = 2000


class Lime:
    """A weighted ridge regression on whether a column says the same as in the row: in the same bin, of the same
    category.

    Neighbours of the row have between one and all of their columns replaced by the value of another background row. A
    neighbour that differs in d of C columns weighs sqrt(exp(-d / (width^2 C))): the paper's kernel. The contributions
    are the coefficients of the columns that count most, and add up to what the local model says of the row.

    Source: Ribeiro, Singh and Guestrin, "Why should I trust you?", KDD 2016.
    """

    kind: ClassVar[Kind] = "attributions"

    class Settings(Spec):
        """How thorough it is, and how near a neighbour has to be."""

        rows: int = Field(8, ge=1, le=1000, description="How many rows are explained.")
        samples: int = Field(2000, ge=50, le=200_000, description="Neighbours of a row that are scored.")
        columns: int = Field(10, ge=1, le=200, description="The most columns of a local model.")
        width: float = Field(0.75, gt=0, le=100, description="Width of the kernel, times sqrt(columns).")
        bins: int = Field(4, ge=2, le=50, description="Bins of a number: quantiles of the background.")

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def refuses(self, subject: Subject) -> str:
        return ""

    def explain(
        self, subject: Subject, sample: Sample, ctx: Context, advance: Callable[[], None]
    ) -> Explanation:
        positions = explained_rows(subject, sample, self.settings.rows)
        cells = pool(subject, sample, positions, BACKGROUND, ctx.rng("lime", "background"))
        rows, gaps = [], []
        for at, row in enumerate(positions):
            output = output_of(subject, sample, row)
            fit = self._fitted(subject, cells, at, output, ctx.rng("lime", row))
            names = [cells.columns[c].name for c in fit.columns]
            score = float(sample.score[row, output])
            gaps.append(abs(fit.base + float(fit.coef.sum()) - score))
            rows.append(
                {
                    "row": row,
                    "score": score,
                    "base": fit.base,
                    "contributions": dict(zip(names, fit.coef.tolist(), strict=True)),
                    "error": dict(zip(names, fit.error.tolist(), strict=True)),
                    "fidelity": fit.fidelity,
                    **named_class(subject, sample, row),
                }
            )
            advance()
        return Explanation(
            self.kind,
            Baseline(
                "a row that shares no bin and no category with the explained one, as the local model sees it; "
                f"values come from {cells.text}"
            ),
            self._error(rows, gaps, len(cells.columns)),
            {"rows": rows},
        )

    def _fitted(
        self, subject: Subject, cells: Pool, at: int, output: int, rng: np.random.Generator
    ) -> LocalModel:
        places = neighbours(cells, at, self.settings.samples, rng)
        same = np.empty(places.shape, dtype=bool)
        for c, column in enumerate(cells.columns):
            same[:, c] = same_as(column, at, cells.first, self.settings.bins)[places[:, c]]
        differing = (~same).sum(axis=1)
        weight = np.exp(-differing / (self.settings.width**2 * len(cells.columns)) / 2)
        score = subject.scored(cells.mixed(places))[:, output]
        return local_model(same.astype(np.float64), score, weight, self.settings.columns)

    def _error(self, rows: list[dict[str, Any]], gaps: list[float], columns: int) -> Error:
        fidelity = [row["fidelity"] for row in rows]
        width = self.settings.width * columns**0.5
        worst, middle = (f"{pick(fidelity):.3g}" if fidelity else "-" for pick in (min, np.median))
        return Error(
            "local gap",
            max(gaps, default=0.0),
            "the worst difference of base and contributions from the score; the weighted R² of the local models "
            f"(their fidelity) is {worst} at worst and {middle} in the middle, with a kernel of width {width:.3g}",
        )


def neighbours(cells: Pool, at: int, count: int, rng: np.random.Generator) -> Places:
    """(count, C): the row itself, then rows that have 1 to C columns, at random, from background rows at random."""
    width = len(cells.columns)
    changed = rng.integers(1, width + 1, size=count)
    order = rng.random((count, width)).argsort(axis=1).argsort(axis=1)
    other = cells.first + rng.integers(cells.size, size=(count, width))
    places: Places = np.where(order < changed[:, None], other, at)
    places[0] = at
    return places


@dataclass(frozen=True)
class LocalModel:
    """score ~ base + sum of coef over the columns that are as in the row.

    columns: (S,) positions, the strongest first; coef, error (standard errors): (S,). fidelity: weighted R².
    """

    base: float
    columns: npt.NDArray[np.int64]
    coef: Floats
    error: Floats
    fidelity: float


def local_model(same: Floats, score: Floats, weight: Floats, most: int) -> LocalModel:
    """Fit all columns, keep the `most` that count most, and fit those again.

    Args:
        same: (N, C), 1 where a column is as in the row. score, weight: (N,).

    >>> z = np.array([[1.0, 1], [0, 1], [1, 0], [0, 0]] * 100)
    >>> found = local_model(z, 1 + 2 * z[:, 0], np.ones(400), 1)
    >>> found.columns.tolist(), found.coef.round(1).tolist(), round(found.fidelity, 2)
    ([0], [2.0], 1.0)
    """
    first, _ = ridge(same, score, weight)
    kept = np.argsort(-np.abs(first[1:]), kind="stable")[:most]
    found, error = ridge(same[:, kept], score, weight)
    left = score - found[0] - same[:, kept] @ found[1:]
    spread = float(weight @ (score - np.average(score, weights=weight)) ** 2)
    flat = spread <= 1e-12 * max(1.0, float(np.abs(score).max())) ** 2 * float(weight.sum())
    fidelity = 1.0 if flat else 1 - float(weight @ left**2) / spread
    return LocalModel(float(found[0]), kept, found[1:], error[1:], fidelity)


def ridge(x: Floats, y: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Intercept (not penalised) and coefficients (1 + C,), and their standard errors after White (1980)."""
    wide = np.column_stack([np.ones(len(x)), x])
    penalty = np.diag([0.0, *([RIDGE] * x.shape[1])])
    inverse = np.linalg.inv((wide * weight[:, None]).T @ wide + penalty)
    found: Floats = inverse @ (wide.T @ (weight * y))
    left = weight * (y - wide @ found)
    meat = (wide * (left**2)[:, None]).T @ wide
    return found, np.sqrt(np.maximum(0.0, np.diag(inverse @ meat @ inverse)))
