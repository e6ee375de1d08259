"""Rows that are unusual as a whole, by the judge that was trained with the model."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field

from bessemer.core.spec import Spec
from bessemer.monitor.finding import Kind, Test
from bessemer.monitor.watching.blame import blamed
from bessemer.monitor.watching.watched import Said, Watched
from bessemer.package.outliers import OUTLIER, has_outliers
from bessemer.stats.two_sample import outside_p

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH = 16_384
#: Columns that are named of a row, and of a window.
_NAMED = 3


class OutliersSettings(Spec):
    """Settings of `outliers`."""

    rank: float = Field(
        0.99,
        ge=0.5,
        lt=1,
        description="from which rank on a row counts as unusual: the share of rows less so",
    )
    examined: int = Field(
        20, ge=0, le=1000, description="of how many of the most unusual rows the columns are named"
    )


@dataclass
class _Seen:
    """What was seen of a window: how many rows, how many beyond the rank, and the most unusual of them."""

    rows: int = 0
    beyond: int = 0
    top: list[tuple[float, str, pa.Table]] = field(default_factory=list)


class Outliers:
    """The number of rows that are more unusual than a share of the held-out rows, which as many rows are by chance.

    Ranks of rows of one distribution are exchangeable, so that this number is beta-binomial, however the score came to
    be; ties make it smaller.
    """

    kind: ClassVar[Kind] = "drift"
    again: ClassVar[bool] = False
    Settings: ClassVar[type[Spec]] = OutliersSettings

    def __init__(self, settings: OutliersSettings) -> None:
        self._settings = settings

    def watch(self, watched: Watched) -> Said:
        signature = watched.model.signature
        if not has_outliers(signature):
            return Said()
        hidden = [f.name for f in signature.inputs if f.name not in watched.window.inputs]
        if hidden:
            return Said(figures={"why": f"not logged as they are: {', '.join(hidden[:_NAMED])}"})
        seen = self._seen(watched)
        if not seen.rows:
            return Said()
        examples, columns = self._examined(watched, seen)
        held = int(watched.model.info["outliers"]["held_out"])
        test = self._test(seen, held, columns)
        share = seen.beyond / seen.rows
        figures = {"rank": self._settings.rank, "rows": seen.rows, "beyond": seen.beyond, "share": share}
        return Said((test,), {**figures, "held_out": held, "columns": dict(columns), "examples": examples})

    def _seen(self, watched: Watched) -> _Seen:
        seen, rank = _Seen(), np.float32(self._settings.rank)
        for ids, rows in _batches(watched):
            outlier = watched.model.session.run(rows, [OUTLIER], allow_missing=True)[OUTLIER]
            beyond = np.flatnonzero(outlier >= rank)
            seen.rows, seen.beyond = seen.rows + len(outlier), seen.beyond + len(beyond)
            first = beyond[np.argsort(-outlier[beyond], kind="stable")][: self._settings.examined]
            found = [(float(outlier[i]), ids[i].as_py(), rows.take([i])) for i in first.tolist()]
            seen.top = sorted([*seen.top, *found], key=lambda row: -row[0])[: self._settings.examined]
        return seen

    def _examined(self, watched: Watched, seen: _Seen) -> tuple[list[dict[str, Any]], Counter[str]]:
        """The most unusual rows with the columns that make them so, and how many rows each column is first in."""
        if not seen.top:
            return [], Counter()
        import pyarrow as pa

        rows = pa.concat_tables([row for _, _, row in seen.top])
        found = blamed(watched.model, rows, watched.reference.columns)
        examples, first = [], Counter[str]()
        for i, (outlier, name, _) in enumerate(seen.top):
            lowered = sorted(
                ((float(each[i]), column) for column, each in found.items() if each[i] > 0), reverse=True
            )
            columns = [column for _, column in lowered[:_NAMED]]
            first.update(columns[:1])
            examples.append({"prediction_id": name, "outlier": outlier, "columns": columns})
        return examples, first

    def _test(self, seen: _Seen, held: int, columns: Counter[str]) -> Test:
        rank = self._settings.rank
        extremes = held - math.ceil(rank * held - 1e-9) + 1
        usual = seen.rows * extremes / (held + 1)
        text = f"{seen.beyond:,} of {seen.rows:,} rows are more unusual than {rank:.4g} of the rows that were held out"
        text += f" in training; {usual:,.0f} would be usual"
        if columns:
            named = ", ".join(f"'{name}'" for name, _ in columns.most_common(_NAMED))
            text += f"; what makes the most unusual ones so: {named}"
        p = outside_p(seen.beyond, seen.rows, held, extremes)
        return Test("outliers", OUTLIER, self.kind, "unusual rows", float(seen.beyond), text, p, of="output")


def _batches(watched: Watched) -> Iterator[tuple[pa.Array, pa.Table]]:
    """The ids of some rows, and their inputs."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = watched.window.inputs
    with pq.ParquetFile(watched.window.path) as file:
        for batch in file.iter_batches(_BATCH, columns=["prediction_id", *(f"in.{name}" for name in names)]):
            columns = {name: batch.column(f"in.{name}") for name in names}
            yield batch.column("prediction_id"), pa.table(columns)
