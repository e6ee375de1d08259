"""The rows of a contest as one Parquet file that any tool can read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bessemer.train.automl.folds import by_group

if TYPE_CHECKING:
    from bessemer.train.comparators.comparator import Contest

Kind = Literal["number", "category", "time"]
_BATCH = 65_536
#: Folds that a comparator chooses its model by, where groups say how they must be cut.
_INNER_FOLDS = 5


def write_rows(contest: Contest, path: Path) -> dict[str, Kind]:
    """Write every row that is learnt from or judged.

    The file has `x0`, `x1`... for the columns (their own names may mean something in another tool), `row` (the row's
    number), `target` (index of the class, or the value), `learn` and `judge` (0 or 1), and where there is one `weight`.
    `fold` numbers the folds: those of the contest where there are several; else, where rows belong to groups, folds
    of the learnt rows that keep groups together. Booleans stay booleans, times have milliseconds, infinity is missing.

    Returns:
        the kind of each `x` column.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    extra = _extra(contest)
    used = (extra["learn"] | extra["judge"]).astype(bool)
    kinds: dict[str, Kind] = {}
    writer: Any = None
    start = 0
    for file in contest.files:
        for batch in pq.ParquetFile(file).iter_batches(_BATCH, columns=list(contest.columns)):
            here = slice(start, start + batch.num_rows)
            columns = {}
            for number, name in enumerate(contest.columns):
                columns[f"x{number}"], kinds[f"x{number}"] = _column(
                    batch.column(batch.schema.names.index(name))
                )
            columns |= {name: pa.array(values[here]) for name, values in extra.items()}
            table = pa.table(columns).filter(pa.array(used[here]))
            writer = writer or pq.ParquetWriter(path, table.schema, compression="none")
            writer.write_table(table)
            start += batch.num_rows
    writer.close()
    return kinds


def _extra(contest: Contest) -> dict[str, np.ndarray]:
    """What is known of each row beside its columns: (N,) each."""
    rows = len(contest.y)
    learn, judge, fold = (np.zeros(rows, dtype=np.int32) for _ in range(3))
    for number, one in enumerate(contest.folds):
        learn[one.learn] = judge[one.judge] = 1
        fold[one.judge] = number
    classes = contest.problem.classes
    extra = {
        "row": np.arange(rows),
        "target": contest.y.astype(np.int64) if classes else contest.y,
        "learn": learn,
        "judge": judge,
    }
    if contest.weight is not None:
        extra["weight"] = contest.weight
    if len(contest.folds) > 1:
        extra["fold"] = fold
    elif contest.groups is not None:
        extra["fold"] = by_group(contest.groups, _INNER_FOLDS, np.random.default_rng(contest.seed))
    return extra


def _column(values: Any) -> tuple[Any, Kind]:
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = values.type
    if pa.types.is_timestamp(kind):
        return values.cast(pa.timestamp("ms"), safe=False), "time"
    if pa.types.is_floating(kind):
        return pc.if_else(pc.is_finite(values), values, None), "number"
    if pa.types.is_integer(kind):
        return values, "number"
    return values, "category"
