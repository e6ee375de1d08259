"""Rows of a logged window, drawn where there are many: what is looked at row by row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.core.sql import quote
from bessemer.monitor.scored import SAMPLE, truth_of
from bessemer.monitor.tables import opened
from bessemer.monitor.watching.logged import LoggedWindow, outputs_in
from bessemer.stats.arrays import Floats
from bessemer.stats.metrics.outcome import Outcome

if TYPE_CHECKING:
    import pyarrow as pa

    from bessemer.core.signature import Signature

#: The draw is always the same one, so that two looks at the same rows say the same.
SEED = 7
_BATCH_ROWS = 16_384


@dataclass(frozen=True)
class Drawn:
    """n rows. inputs: those asked for, by their own names. outcome: what was said, and the truth where `labelled`, else
    of no meaning. labelled: bool (n,).
    """

    inputs: pa.Table
    outcome: Outcome
    labelled: Any

    @property
    def rows(self) -> int:
        return self.outcome.rows

    def with_labels(self) -> Drawn:
        """The rows that have one."""
        at = np.flatnonzero(self.labelled)
        return Drawn(self.inputs.take(at), self.outcome.take(at), self.labelled[at])


def draw(
    window: LoggedWindow,
    signature: Signature,
    columns: Sequence[str] = (),
    *,
    labelled: bool = False,
    most: int = SAMPLE,
) -> Drawn:
    """At most so many rows of a window.

    Args:
        columns: the inputs that are wanted. labelled: only rows that have a label.
    """
    import pyarrow as pa

    where = "label IS NOT NULL" if labelled else "true"
    whole = pa.concat_batches(list(batches_of(window, columns, where, most)))
    predicted, probability, _ = outputs_in(whole, signature)
    truth: Floats = truth_of(whole.column("label"), signature)
    known = np.isfinite(truth)
    filled = np.where(known, truth, 0.0)
    if signature.task != "regression":
        filled, predicted = filled.astype(np.int64), predicted.astype(np.int64)
    named = pa.table({name: whole.column(f"in.{name}") for name in columns})
    return Drawn(named, Outcome(signature.task, filled, predicted, probability), known)


def draw_both(
    window: LoggedWindow, signature: Signature, columns: Sequence[str], most: int = SAMPLE
) -> tuple[Drawn, Drawn]:
    """A draw of all rows, and one of those that have a label: from one reading, where all rows are drawn."""
    whole = draw(window, signature, columns, most=most)
    if window.rows <= most:
        return whole, whole.with_labels()
    return whole, draw(window, signature, columns, labelled=True, most=most).with_labels()


def batches_of(
    window: LoggedWindow, columns: Sequence[str], where: str = "true", most: int | None = None
) -> Iterator[pa.RecordBatch]:
    """`in.NAME` of the columns, all outputs and the label of at most so many rows that a condition holds for.

    One batch at least, which may be empty.
    """
    import pyarrow as pa

    with opened(window.path) as (connection, relation):
        connection.execute("SET threads = 1")  # a draw by several threads is another one each time
        wanted = ", ".join([*(quote(f"in.{name}") for name in columns), "COLUMNS('^out\\..*')", "label"])
        query = f"SELECT {wanted} FROM {relation} WHERE {where}"
        if most is not None and window.rows > most:
            query = f"SELECT * FROM ({query}) USING SAMPLE reservoir({most} ROWS) REPEATABLE ({SEED})"
        reader = connection.sql(query).to_arrow_reader(_BATCH_ROWS)
        yield pa.RecordBatch.from_pylist([], schema=reader.schema)
        yield from reader
