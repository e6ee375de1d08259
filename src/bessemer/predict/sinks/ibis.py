"""A table of any database that ibis connects to and inserts into.

Not every database takes several statements as one transaction, so each row has its job and the number of its batch in
two columns of their own. A batch is noted in `bessemer_jobs` after its rows: what a job has beyond its last note
was not finished, and is deleted before the job goes on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bessemer.core.errors import BessemerError, EnvironmentFault, MissingExtra, StoreError, UsageError
from bessemer.core.redaction import without_password
from bessemer.core.secrets import expanded
from bessemer.predict.protocol import Job, Progress, Target
from bessemer.predict.sinks.database import JOBS, check_columns, table_of

if TYPE_CHECKING:
    import pyarrow as pa

JOB, BATCH = "bessemer_job", "bessemer_batch"
#: ibis brings rows in by a temporary table, which lives as long as the connection: so many batches, then a new one.
_RENEW = 16


class Ibis:
    def __init__(self, target: Target, job: Job) -> None:
        self._job, self._target = job, target
        self._table = table_of(target)
        self._progress = Progress()
        self._connection: Any = None
        if not job.resumable:
            raise UsageError(
                f"rows of this source cannot go into '{without_password(target.where)}' exactly once",
                why="the source cannot be gone on with after a kill, and the database takes batches one by one",
                fix="give --snapshot: the rows are then kept on disk first, and can be gone on with",
            )

    def open(self) -> Progress:
        with self._explained():
            self._connection = connection = _connected(self._target.where)
            tables = connection.list_tables()
            if JOBS not in tables:
                connection.create_table(JOBS, schema=_notes(self._job, "", Progress()).schema)
            if self._table not in tables:
                connection.create_table(
                    self._table, schema=self._marked(self._job.schema.empty_table(), 0).schema
                )
            there = list(connection.table(self._table).columns)
            check_columns(self._table, self._table, there, [*self._job.schema.names, JOB, BATCH])
            self._progress = self._known()
            if self._job.restart and self._progress.batches:
                self._delete(-1)
                self._progress = Progress()
                connection.insert(JOBS, _notes(self._job, self._table, self._progress))
            elif not self._progress.complete:
                self._delete(self._progress.batches - 1)
        return self._progress

    def _known(self) -> Progress:
        """The last note of the job: a restart has none of its batches, and makes the earlier ones void."""
        notes = self._connection.table(JOBS)
        rows = notes.filter(notes["job"] == self._job.key).to_pyarrow().to_pylist()
        last = max(rows, key=lambda row: row["number"], default=None)
        self._number = last["number"] + 1 if last else 0
        if last is None:
            return Progress()
        return Progress(last["batches"], last["rows"], last["file"], last["row"], bool(last["complete"]))

    def _delete(self, after: int) -> None:
        """Delete the rows of the job whose batch comes after this one."""
        import sqlglot.expressions as sge

        table = self._connection.table(self._table)
        beyond = (table[JOB] == self._job.key) & (table[BATCH] > after)
        if not table.filter(beyond).count().to_pyarrow().as_py():
            return
        quoted = sge.to_identifier(self._table, quoted=True)
        job, batch = (sge.column(name, quoted=True) for name in (JOB, BATCH))
        where = sge.and_(
            job.eq(sge.Literal.string(self._job.key)), sge.GT(this=batch, expression=sge.convert(after))
        )
        statement = sge.Delete(this=sge.Table(this=quoted), where=sge.Where(this=where))
        cursor = self._connection.raw_sql(statement.sql(self._connection.dialect))
        if hasattr(cursor, "close"):
            cursor.close()

    def _marked(self, table: pa.Table, batch: int) -> pa.Table:
        import pyarrow as pa

        table = table.append_column(JOB, pa.array([self._job.key] * table.num_rows, pa.string()))
        return table.append_column(BATCH, pa.array([batch] * table.num_rows, pa.int64()))

    def write(self, table: pa.Table, progress: Progress) -> None:
        with self._explained():
            if progress.batches % _RENEW == 0:
                self._connection.disconnect()
                self._connection = _connected(self._target.where)
            self._connection.insert(self._table, self._marked(table, progress.batches - 1))
            self._note(progress)

    def _note(self, progress: Progress) -> None:
        self._connection.insert(JOBS, _notes(self._job, self._table, progress, self._number))
        self._number += 1
        self._progress = progress

    def finish(self) -> None:
        p = self._progress
        if not p.complete:
            with self._explained():
                self._note(Progress(p.batches, p.rows, p.file, p.row, complete=True))

    def close(self) -> None:
        if self._connection is not None:
            self._connection.disconnect()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        where = without_password(self._target.where)
        try:
            yield
        except BessemerError:
            raise
        except Exception as error:
            raise StoreError(
                f"cannot write table '{self._table}' in '{where}'",
                why=f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}",
                fix="check the address, the rights and the table; then call it again to go on",
            ) from error


def _connected(url: str) -> Any:
    try:
        import ibis
    except ImportError as error:
        raise MissingExtra("ibis", "ibis", "ibis") from error
    try:
        return ibis.connect(expanded(url))
    except ImportError as error:
        scheme = url.partition(":")[0]
        raise EnvironmentFault(
            f"ibis cannot load what '{scheme}' needs",
            why=str(error.__cause__ or error).splitlines()[0],
            fix=f"pip install 'ibis-framework[{scheme}]'",
        ) from error


def _notes(job: Job, table: str, progress: Progress, number: int = 0) -> pa.Table:
    import pyarrow as pa

    p = progress
    numbers = {"number": number, "batches": p.batches, "rows": p.rows, "file": p.file, "row": p.row}
    columns = {
        "job": pa.array([job.key]),
        "table": pa.array([table]),
        **{name: pa.array([value], pa.int64()) for name, value in numbers.items()},
        "complete": pa.array([p.complete]),
    }
    return pa.table(columns)
