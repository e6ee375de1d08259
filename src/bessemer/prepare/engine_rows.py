"""Rows that stay at an engine, from which transforms learn beside those of the train part.

Rows that judge are all in the sample that travelled, so every row that did not travel may be learnt from, but where
the split is by time, by group or given: there the cut holds for them too (`Split.elsewhere`). The train part goes to
the engine, a few columns at a time, and the transforms ask their questions there of both together. Cross-fitted
means need no folds of the rows that stay: none of them is in the training matrix.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.core.parquet import write_parquet
from bessemer.core.sql import literal, quote
from bessemer.engines.refusal import NotCarriedOver
from bessemer.engines.remote import Remote
from bessemer.engines.table import TABLE, Table, reopened, typed
from bessemer.prepare.labelled import Labelled
from bessemer.prepare.spec import PrepareSpec
from bessemer.prepare.splits import JUDGED, OTHERS, Split
from bessemer.prepare.train_table import (
    TRAIN,
    Folds,
    PartRows,
    TrainRows,
    largest_sql,
    target_sql,
    totals_sql,
    value_sql,
    view_sql,
)
from bessemer.prepare.transforms.base import Column, Target, TrainColumn
from bessemer.prepare.transforms.target_mean import sums_of

if TYPE_CHECKING:
    from bessemer.core.stage import Context

#: The train part's name at the engine.
_HERE = "here"
#: Columns in one question.
_GROUP = 20


@contextmanager
def train_rows(
    connection: Any,
    spec: PrepareSpec,
    data: Labelled,
    split: Split,
    paths: Mapping[str, Path],
    folds: Folds,
    ctx: Context,
) -> Iterator[TrainRows]:
    """The rows to learn from: the train part, and where the data is a sample of a table at an engine, what of that
    table does not judge.

    Raises:
        DataError: the table is no longer at the engine, or the engine fails.
    """
    part, by = paths["train"], spec.split.by
    if data.whole is None or data.whole["sampled"] >= data.whole["rows"]:
        yield PartRows(connection, data, part, folds, by)
        return
    table = reopened(data.whole, ctx)
    with closing(table.engine):
        judging = [paths["valid"], paths["test"]] if split.method == "group" else []
        others = Others(table, data, split, _groups(connection, spec, judging, ctx))
        here = PartRows(connection, data, part, folds, by, others.largest())
        rows = EngineRows(others, here, ctx)
        if rows.beside:
            stay = f"{rows.beside:,} that stay at {table.name}"
            ctx.note(f"features are learnt from {sum(rows.target.rows):,} rows: the train part, and {stay}")
        yield rows if rows.beside else here


def _groups(connection: Any, spec: PrepareSpec, judging: Sequence[Path], ctx: Context) -> Path | None:
    """The groups of the parts that judge, as a file; None where the split is not by group."""
    if not judging:
        return None
    name, file = quote(str(spec.split.group)), ctx.temporary("judged.parquet")
    files = ", ".join(literal(path) for path in judging)
    query = f"SELECT DISTINCT {name} AS x0 FROM read_parquet([{files}]) WHERE {name} IS NOT NULL ORDER BY 1"
    write_parquet(connection, query, file)
    return file


class Others:
    """The rows at an engine that neither travelled nor judge, and that have a label and keep the contract."""

    def __init__(self, table: Table, data: Labelled, split: Split, judged: Path | None) -> None:
        """
        Args:
            judged: a Parquet file of the groups that judge, in its column x0; it is taken there.
        """
        assert data.whole is not None
        self.table, self.data, self.remote = table, data, table.remote()
        if judged is not None:
            self.remote.add(JUDGED, table.engine.load(JUDGED, [judged]))
            judged.unlink()
        self.casts: Mapping[str, str] = data.whole["casts"]
        known = data.class_sql() if data.task != "regression" else value_sql(data)
        apart = f"(SELECT * FROM {TABLE} WHERE {table.apart()})"
        kept = typed(table.columns, self.casts, data.whole["where"], apart)
        self.sql = f"(SELECT * FROM {kept} AS {OTHERS} WHERE ({split.elsewhere}) AND {known} IS NOT NULL)"

    def largest(self) -> float:
        """The size of the largest value of a regression target; 0 where there is none."""
        if self.data.task != "regression":
            return 0.0
        ((found,),) = self.ask(largest_sql(self.data, self.sql))
        return float(found or 0.0)

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a SELECT in DuckDB's dialect."""
        return self.table.engine.ask(self.remote.query(sql, exact=False).sql)

    def tells(self, column: Column) -> bool:
        """Whether the engine computes the column as DuckDB does."""
        if not column.derived and column.name not in self.casts:
            return True
        try:
            self.remote.query(
                f"SELECT {column.sql} AS x0 FROM {typed(self.table.columns, self.casts, 'true')}"
            )
        except NotCarriedOver:
            return False
        return True


class EngineRows:
    """The train part and others, together at the engine. `beside` is how many others there are."""

    def __init__(self, others: Others, here: PartRows, ctx: Context) -> None:
        self.others, self.here, self.ctx = others, here, ctx
        target, data = here.target, others.data
        self.y = target_sql(data, here.largest)[0]
        ((n, *more),) = others.ask(f"SELECT {totals_sql(data)} FROM (SELECT {self.y} AS y FROM {others.sql})")
        self.beside = int(n)
        if self.beside:
            rows = np.array([*target.rows, self.beside], dtype=object)
            sums = np.concatenate([target.sums, np.array([sums_of(data.task, more)], dtype=object)])
            self.target: Target = replace(target, rows=rows, sums=sums, beside=True)

    def chunks(self, columns: Sequence[Column]) -> Iterator[list[TrainColumn]]:
        """As `TrainRows` says; columns that the engine does not tell are those of the train part alone."""
        for group in self.here.chunks(columns, _GROUP):
            part = [replace(column, alone=True) for column in group]
            told = {c.x: c.column for c in part if self.others.tells(c.column)}
            views = _Views(self, self._bring(list(told)), told) if told else None
            made = [
                EngineColumn(c.column, views, TRAIN, c.x, self.target, c.orders_split, part=c)
                if c.x in told
                else c
                for c in part
            ]
            for _, some in groupby(made, type):
                yield list(some)

    def _bring(self, names: Sequence[str]) -> Remote:
        """Take columns of the train part to the engine; gives the engine with them as a table."""
        file = self.ctx.temporary("here.parquet")
        write_parquet(self.here.connection, f"SELECT {', '.join(('y', 'fold', *names))} FROM {TRAIN}", file)
        remote = self.others.table.remote()
        remote.tables |= self.others.remote.tables
        remote.add(_HERE, self.others.table.engine.load(_HERE, [file]))
        file.unlink()
        return remote


class _Views:
    """What a group of columns is at the engine, for queries over `train`."""

    def __init__(self, rows: EngineRows, remote: Remote, columns: Mapping[str, Column]) -> None:
        self.rows, self.remote, self.columns = rows, remote, columns

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a query in DuckDB's dialect; only columns that stand in it are computed."""
        named = set(re.findall(r"\bx\d+\b", sql))
        query = self.remote.query(f"WITH {TRAIN} AS ({self.sql(named)}) {sql}", exact=False)
        return self.remote.engine.ask(query.sql)

    def sql(self, named: set[str]) -> str:
        columns = {x: column for x, column in self.columns.items() if x in named}
        beside = view_sql(columns, self.rows.y, str(self.rows.target.folds), self.rows.others.sql)
        return f"SELECT {', '.join(('y', 'fold', *columns))} FROM {_HERE} UNION ALL {beside}"


@dataclass(frozen=True, kw_only=True)
class EngineColumn(TrainColumn):
    """A column of rows at an engine; `connection` is the views of its group, `part` the same of the train part."""

    part: TrainColumn

    @property
    def here(self) -> TrainColumn:
        return self.part

    def query(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        assert not parameters, "an engine takes none"
        found: list[tuple[Any, ...]] = self.connection.ask(sql)
        return found

    def distinct_sql(self) -> str:
        return f"count(DISTINCT {self.x})"
