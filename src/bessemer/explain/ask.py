"""Asks the graph that ships about rows with some of their values replaced, block by block."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pyarrow as pa

    from bessemer.core.stage import Context
    from bessemer.explain.sample import Floats, Sample
    from bessemer.explain.subject import Subject

Ints = npt.NDArray[np.int64]

#: The most rows, and the most values, that are held at once.
ROWS, VALUES = 20_000, 4_000_000

#: The most columns that are ranked or shuffled.
COLUMNS = 200

#: The most values (rows x columns) that are scored to rank the columns, and the bounds of the rows for it.
_RANKED, _FEWEST, _MOST = 4_000_000, 20, 200


def ask(subject: Subject, table: pa.Table, rows: Ints, replaced: Mapping[str, Ints]) -> Floats:
    """The raw scores of rows that have values of other rows: (M, K) float64.

    Args:
        table: raw rows, which stay as they are.
        rows: int64 (M,), which rows are asked about; a row may stand there many times.
        replaced: column -> int64 (M,), the row of `table` whose value the column takes.

    Values come from rows that were seen, so each has the column's type and is one that the graph may be given.
    """
    import pyarrow as pa

    size = max(1, min(ROWS, VALUES // max(1, table.num_columns)))
    found: list[Floats] = []
    for first in range(0, len(rows), size):
        part = slice(first, first + size)
        same = pa.array(rows[part])
        columns = [
            table.column(name).take(pa.array(replaced[name][part]) if name in replaced else same)
            for name in table.column_names
        ]
        found.append(subject.scored(pa.Table.from_arrays(columns, schema=table.schema).combine_chunks()))
    return np.concatenate(found) if found else subject.scored(table.slice(0, 0))


def candidates(subject: Subject, sample: Sample) -> list[str]:
    """The columns that are worth a look: all, or of a very wide table those that contribute most to the score.

    A column that feeds derived features alone has no contribution of its own and is always among them.
    """
    if len(subject.columns) <= COLUMNS:
        return list(subject.columns)
    strength = dict(
        zip(subject.groups, np.abs(sample.contributions).mean(axis=0).sum(axis=1).tolist(), strict=True)
    )
    ranked = sorted(subject.columns, key=lambda name: (-strength.get(name, np.inf), name))
    return ranked[:COLUMNS]


def strongest_columns(subject: Subject, sample: Sample, ctx: Context, most: int, what: str = "") -> list[str]:
    """The raw columns that move the score most when their values are shuffled, strongest first.

    A column that only feeds derived features counts with what these do. Columns that never move the score are
    left out, and so are images, which have no values in an order; where more than `most` do, a note says that `what` is
    of these alone, if it is given.
    """
    moved = movement(subject, sample, ctx)
    kept = [name for name in moved if moved[name] > 0 and name not in subject.images]
    ranked = sorted(kept, key=lambda name: (-moved[name], name))
    if what and len(ranked) > most:
        ctx.note(f"{what}: the {most} columns that move the score most, of {len(subject.columns):,}")
    return ranked[:most]


def movement(subject: Subject, sample: Sample, ctx: Context) -> dict[str, float]:
    """How far shuffling each candidate moves the score: mean |change| over some rows, added over the outputs."""
    names = candidates(subject, sample)
    rng = ctx.rng("movement")
    count = min(len(sample), _MOST, max(_FEWEST, _RANKED // (len(names) * len(subject.columns))))
    rows = np.sort(rng.choice(len(sample), count, replace=False))
    donors = rng.choice(len(sample), count)
    asked = np.tile(rows, len(names))  # a block of rows for each column, in which this one alone is shuffled
    replaced = {name: asked.copy() for name in names}
    for i, name in enumerate(names):
        replaced[name][i * count : (i + 1) * count] = donors
    after = ask(subject, sample.table, asked, replaced).reshape(len(names), count, -1)
    moved = np.abs(after - sample.score[rows]).mean(axis=1).sum(axis=1)
    return dict(zip(names, moved.tolist(), strict=True))
