"""Permutation importance: what the metric loses when a column is shuffled and says nothing any more."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from bessemer.core.errors import DataError
from bessemer.core.spec import Spec
from bessemer.explain.ask import candidates
from bessemer.explain.conditional import cells, shuffled_within
from bessemer.explain.explanation import Baseline, Error, Explanation, Kind
from bessemer.explain.quality import Quality, mean_interval, quality_for
from bessemer.stats.bootstrap import resample
from bessemer.stats.metrics.outcome import class_indices

if TYPE_CHECKING:
    import pyarrow as pa

    from bessemer.core.stage import Context
    from bessemer.explain.sample import Floats, Sample
    from bessemer.explain.subject import Subject
    from bessemer.stats.metrics.table import Scorer

Ints = npt.NDArray[np.int64]

#: The most rows that go through the graph at once.
BATCH = 20_000

#: The most other columns that say which rows are alike.
OTHERS = 40

#: How often the test rows are drawn anew for the intervals.
REPLICATES = 50


class Permutation:
    """Shuffle one raw column of the test rows, score them with the graph that ships, and see what is lost.

    `value` is the mean loss over the repeats in units of the metric, larger is more important whatever the
    direction of the metric. `low` and `high` are a 95% interval of it over both the shuffles (t) and the test rows
    (bootstrap): they say how another test set and other shuffles would come out, for this very model.

    A shuffle makes rows that cannot be, where columns go together; with `conditional` a column is shuffled only among
    rows that are alike in the others, and its value is what it says beyond them.

    Source: Breiman, "Random forests", Machine Learning 45 (2001); Fisher, Rudin and Dominici, "All models
    are wrong, but many are useful", JMLR 20 (2019); conditional: Molnar et al., "Model-agnostic feature importance and
    effects with dependent features: a conditional subgroup approach", Data Mining and Knowledge Discovery (2023).
    """

    kind: ClassVar[Kind] = "importance"
    NEEDS_ACTUAL: ClassVar[bool] = True

    class Settings(Spec):
        """How thorough it is, and which rows change places."""

        repeats: int = Field(5, ge=2, le=1000, description="How often each column is shuffled.")
        conditional: bool = Field(
            False, description="Whether it is shuffled only among rows that are alike in the other columns."
        )

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def refuses(self, subject: Subject) -> str:
        return ""

    def explain(
        self, subject: Subject, sample: Sample, ctx: Context, advance: Callable[[], None]
    ) -> Explanation:
        if np.isnan(sample.actual).any():
            raise DataError(
                "permutation importance needs the true value of every row",
                fix="explain rows that have the target, or with another explainer",
            )
        quality = quality_for(subject.task, subject.metric, sample)
        whole = quality.scorer(sample.actual, getattr(sample, quality.output), sample.said)
        columns = candidates(subject, sample)
        if left := len(subject.columns) - len(columns):
            ctx.note(
                f"permutation importance is of the {len(columns)} columns that move the score most, "
                f"not of {left:,} others"
            )
        rng = ctx.rng("permutation", "rows")
        weights = [resample(len(sample), rng) for _ in range(REPLICATES)]
        rows: list[dict[str, Any]] = []
        for column in columns:
            after = [
                quality.scorer(sample.actual, output, said)
                for output, said in _shuffled(
                    subject, sample, column, self._orders(column, columns, sample, ctx), quality
                )
            ]
            rows.append({"group": column} | _lost(whole, after, weights, quality))
            advance()
        return self._told(rows, quality, float(whole()[0]))

    def _orders(self, column: str, columns: list[str], sample: Sample, ctx: Context) -> list[Ints]:
        """The orders of the rows in which the column's values are taken, one a repeat."""
        rng = ctx.rng("permutation", column)
        if not self.settings.conditional:
            return [rng.permutation(len(sample)) for _ in range(self.settings.repeats)]
        others = [name for name in columns if name != column][:OTHERS]
        cell = cells(column, others, sample, int(rng.integers(2**31)))
        return [shuffled_within(cell, rng) for _ in range(self.settings.repeats)]

    def _told(self, rows: list[dict[str, Any]], quality: Quality, whole: float) -> Explanation:
        among = "; a column is shuffled among rows that are alike in the others"
        return Explanation(
            self.kind,
            Baseline(
                f"the {quality.metric.name} of {whole:.4g} with every column as it is"
                + (among if self.settings.conditional else "")
            ),
            Error(
                "95% interval",
                max((row["high"] - row["low"] for row in rows), default=0.0) / 2,
                f"half the widest interval, over the test rows and {self.settings.repeats} shuffles",
            ),
            {
                "rows": sorted(rows, key=lambda row: (-row["value"], row["group"])),
                "unit": quality.metric.name,
            },
        )


def _lost(whole: Scorer, after: list[Scorer], weights: list[Floats], quality: Quality) -> dict[str, float]:
    """The mean loss over the shuffles, with its interval over the shuffles and over the test rows."""

    def losses(drawn: Floats | None) -> list[float]:
        before = float(whole(drawn)[0])
        return [quality.loss(before, float(scorer(drawn)[0])) for scorer in after]

    lost = losses(None)
    value = float(np.mean(lost))
    low, high = mean_interval(lost)
    over_rows = _half([float(np.mean(losses(drawn))) for drawn in weights])
    half = float(np.hypot((high - low) / 2, over_rows))
    return {"value": value, "low": value - half, "high": value + half}


def _half(replicates: list[float]) -> float:
    """Half the 95% interval of a figure from its bootstrap replicates; 0 where most of them are not defined."""
    defined = np.array([value for value in replicates if np.isfinite(value)])
    if len(defined) < max(2, len(replicates) / 2):
        return 0.0
    return 1.96 * float(defined.std(ddof=1))


def _shuffled(
    subject: Subject, sample: Sample, column: str, orders: list[Ints], quality: Quality
) -> list[tuple[Floats, Ints | None]]:
    """What the metric needs, for each order of the column; several orders go through the graph at once.

    The output, (N, K), and where the metric judges it the class index that is said, (N,).
    """
    import pyarrow as pa

    n = len(sample)
    together = max(1, BATCH // n)
    place = sample.table.column_names.index(column)
    found: list[tuple[Floats, Ints | None]] = []
    wanted = [quality.output, *(["prediction"] if quality.needs_said else [])]
    for first in range(0, len(orders), together):
        part = orders[first : first + together]
        tables: list[pa.Table] = [
            sample.table.set_column(
                place, sample.table.schema.field(place), sample.table.column(place).take(pa.array(order))
            )
            for order in part
        ]
        outputs = subject.session.run(pa.concat_tables(tables).combine_chunks(), wanted)
        arrays = outputs[quality.output].astype(np.float64).reshape(len(part), n, -1)
        said: list[Ints | None] = [None] * len(part)
        if quality.needs_said:
            said = list(class_indices(outputs["prediction"], subject.classes).reshape(len(part), n))
        found.extend(zip(arrays, said, strict=True))
    return found
