"""Permutation importance: what the metric loses when a column is shuffled and says nothing any more."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.explain.quality import Quality, mean_interval, quality_for

if TYPE_CHECKING:
    import pyarrow as pa

    from bessemer.core.stage import Context
    from bessemer.explain.sample import Floats, Sample
    from bessemer.explain.spec import ExplainSpec
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

    def rank(
        self, subject: Subject, sample: Sample, spec: ExplainSpec, ctx: Context, advance: Callable[[], None]
    ) -> list[dict[str, Any]]:
        quality = quality_for(subject.task, subject.metric, sample)
        whole = quality(sample.actual, getattr(sample, quality.output))
        rows: list[dict[str, Any]] = []
        columns = shuffled_columns(subject, sample)
        if left := len(subject.columns) - len(columns):
            ctx.note(
                f"permutation importance is of the {len(columns)} columns that move the score most, "
                f"not of {left:,} others"
            )
        for column in columns:
            rng = ctx.rng("permutation", column)
            orders = [rng.permutation(len(sample)) for _ in range(spec.repeats)]
            lost = [
                quality.loss(whole, quality(sample.actual, outputs))
                for outputs in _shuffled(subject, sample, column, orders, quality)
            ]
            low, high = mean_interval(lost)
            rows.append({"group": column, "value": float(np.mean(lost)), "low": low, "high": high})
            advance()
        return sorted(rows, key=lambda row: (-row["value"], row["group"]))


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
