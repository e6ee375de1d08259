"""Permutation importance: what the metric loses when a column is shuffled and says nothing any more."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field

from bessemer.core.spec import Spec
from bessemer.explain.explanation import Baseline, Error, Explanation, Kind
from bessemer.explain.quality import Quality, mean_interval, quality_for

if TYPE_CHECKING:
    import pyarrow as pa

    from bessemer.core.stage import Context
    from bessemer.explain.sample import Floats, Sample
    from bessemer.explain.subject import Subject

#: The most rows that go through the graph at once.
BATCH = 20_000

#: The most columns that are shuffled; each costs `repeats` passes over the sample.
COLUMNS = 200


class Permutation:
    """Shuffle one raw column of the test rows, score them with the graph that ships, and see what is lost.

    `value` is the mean loss over the repeats in units of the metric, larger is more important whatever the
    direction of the metric; `low` and `high` are the 95% t interval of that mean over the repeats.

    Source: Breiman, "Random forests", Machine Learning 45 (2001); Fisher, Rudin and Dominici, "All models
    are wrong, but many are useful", JMLR 20 (2019).
    """

    kind: ClassVar[Kind] = "importance"

    class Settings(Spec):
        """How thorough it is."""

        repeats: int = Field(5, ge=2, le=1000, description="How often each column is shuffled.")

    def __init__(self, settings: Settings) -> None:
        self.repeats = settings.repeats

    def refuses(self, subject: Subject) -> str:
        return ""

    def explain(
        self, subject: Subject, sample: Sample, ctx: Context, advance: Callable[[], None]
    ) -> Explanation:
        quality = quality_for(subject.task, subject.metric, sample)
        whole = quality(sample.actual, getattr(sample, quality.output))
        columns = shuffled_columns(subject, sample)
        if left := len(subject.columns) - len(columns):
            ctx.note(
                f"permutation importance is of the {len(columns)} columns that move the score most, "
                f"not of {left:,} others"
            )
        rows: list[dict[str, Any]] = []
        for column in columns:
            rng = ctx.rng("permutation", column)
            orders = [rng.permutation(len(sample)) for _ in range(self.repeats)]
            lost = [
                quality.loss(whole, quality(sample.actual, outputs))
                for outputs in _shuffled(subject, sample, column, orders, quality)
            ]
            low, high = mean_interval(lost)
            rows.append({"group": column, "value": float(np.mean(lost)), "low": low, "high": high})
            advance()
        widest = max((row["high"] - row["low"] for row in rows), default=0.0) / 2
        return Explanation(
            self.kind,
            Baseline(f"the {quality.metric.name} of {whole:.4g} with every column as it is"),
            Error(
                "95% interval", widest, f"half the widest t interval of a mean over {self.repeats} shuffles"
            ),
            {
                "rows": sorted(rows, key=lambda row: (-row["value"], row["group"])),
                "unit": quality.metric.name,
            },
        )


def shuffled_columns(subject: Subject, sample: Sample) -> list[str]:
    """The columns to shuffle: all, or of a very wide table those that move the score most.

    A column that feeds derived features alone has no contribution of its own and is always among them.
    """
    if len(subject.columns) <= COLUMNS:
        return list(subject.columns)
    strength = dict(
        zip(subject.groups, np.abs(sample.contributions).mean(axis=0).sum(axis=1).tolist(), strict=True)
    )
    ranked = sorted(subject.columns, key=lambda name: (-strength.get(name, np.inf), name))
    return ranked[:COLUMNS]


def _shuffled(
    subject: Subject, sample: Sample, column: str, orders: list[Any], quality: Quality
) -> list[Floats]:
    """What the metric needs, for each order of the column; several orders go through the graph at once."""
    import pyarrow as pa

    n = len(sample)
    together = max(1, BATCH // n)
    place = sample.table.column_names.index(column)
    found: list[Floats] = []
    for first in range(0, len(orders), together):
        part = orders[first : first + together]
        tables: list[pa.Table] = [
            sample.table.set_column(
                place, sample.table.schema.field(place), sample.table.column(place).take(pa.array(order))
            )
            for order in part
        ]
        outputs = subject.session.run(pa.concat_tables(tables).combine_chunks(), [quality.output])
        array = outputs[quality.output].astype(np.float64).reshape(len(part), n, -1)
        found.extend(array)
    return found
