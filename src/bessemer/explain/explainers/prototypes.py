"""Prototypes and criticisms: few rows that stand for all, and those that they do not stand for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from bessemer.core.spec import Spec
from bessemer.explain import mmd
from bessemer.explain.distance import Gower
from bessemer.explain.examples import SHOWN
from bessemer.explain.explanation import Baseline, Error, Explanation, Kind
from bessemer.explain.local import said
from bessemer.explain.perturb import as_column
from bessemer.explain.sample import pick
from bessemer.explain.values import plain

if TYPE_CHECKING:
    import numpy.typing as npt

    from bessemer.core.stage import Context
    from bessemer.explain.sample import Floats, Sample
    from bessemer.explain.subject import Subject

#: Random choices that the prototypes are compared with.
RANDOM = 20

#: The most numbers held at once.
BLOCK = 4_000_000


class Prototypes:
    """Rows whose distribution is nearest to the sample's, and the rows where the two differ most (MMD-critic).

    Rows are alike where their columns are (Gower's distance), or where the columns move the score alike (the
    contributions): rows that the model treats the same. `share` is the share of rows that are nearest to a prototype.

    Source: Kim, Khanna and Koyejo, "Examples are not enough, learn to criticize!", NeurIPS 2016.
    """

    kind: ClassVar[Kind] = "prototypes"

    class Settings(Spec):
        """How many, and what makes rows alike."""

        prototypes: int = Field(8, ge=1, le=100, description="Rows that stand for all.")
        criticisms: int = Field(4, ge=0, le=100, description="Rows that they do not stand for.")
        space: Literal["columns", "contributions"] = Field(
            "columns", description="What is compared: values of columns, or how columns move the score."
        )
        rows: int = Field(1000, ge=10, le=10_000, description="Rows that are looked at, drawn at random.")

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def refuses(self, subject: Subject) -> str:
        return ""

    def explain(
        self, subject: Subject, sample: Sample, ctx: Context, advance: Callable[[], None]
    ) -> Explanation:
        rows = pick(len(sample), self.settings.rows, ctx.rng("prototypes", "rows"))
        distance = self._distance(subject, sample, rows)
        k = mmd.kernel(distance)
        advance()
        chosen = mmd.prototypes(k, self.settings.prototypes)
        nearest = np.asarray(chosen)[distance[:, chosen].argmin(axis=1)]
        share = {p: float((nearest == p).mean()) for p in chosen}
        found = mmd.mmd2(k, chosen)
        others = mmd.criticisms(k, chosen, self.settings.criticisms)
        advance()
        return Explanation(
            self.kind,
            Baseline(f"the distribution of {len(rows):,} rows, by {self._words()}"),
            self._error(k, found, len(chosen), ctx),
            {
                "prototypes": [
                    {**_shown(subject, sample, int(rows[p])), "share": share[p]}
                    for p in sorted(chosen, key=lambda p: -share[p])
                ],
                "criticisms": [_shown(subject, sample, int(rows[p])) for p in others],
            },
        )

    def _words(self) -> str:
        return (
            "Gower's distance" if self.settings.space == "columns" else "the contributions of their columns"
        )

    def _distance(self, subject: Subject, sample: Sample, rows: npt.NDArray[np.int64]) -> Floats:
        if self.settings.space == "contributions":
            return _taxicab(sample.contributions[rows].reshape(len(rows), -1))
        import pyarrow as pa

        table = sample.table.take(pa.array(rows)).combine_chunks()
        columns = [as_column(name, table.column(name)) for name in table.column_names]
        values = np.column_stack([column.values for column in columns])
        return Gower.of(columns).between(values, values)

    def _error(self, k: Floats, found: float, count: int, ctx: Context) -> Error:
        rng = ctx.rng("prototypes", "random")
        draws = [mmd.mmd2(k, rng.choice(len(k), count, replace=False).tolist()) for _ in range(RANDOM)]
        return Error(
            "MMD²",
            found,
            "the squared maximum mean discrepancy between the prototypes and the rows: 0 where they say the same; "
            f"rows drawn at random have {np.mean(draws):.3g}",
        )


def _taxicab(points: Floats) -> Floats:
    """The sum of absolute differences, (N, N), block by block."""
    found = np.empty((len(points), len(points)))
    size = max(1, BLOCK // max(1, points.size))
    for start in range(0, len(points), size):
        found[start : start + size] = np.abs(points[start : start + size, None] - points[None]).sum(axis=2)
    return found


def _shown(subject: Subject, sample: Sample, row: int) -> dict[str, Any]:
    names = subject.columns[:SHOWN]
    values = sample.table.select(names).slice(row, 1).to_pylist()[0]
    return {
        "row": {name: plain(value) for name, value in values.items()},
        "prediction": said(subject, float(sample.predicted[row])),
    }
