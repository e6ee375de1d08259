"""What the sinks that write a table share: a batch and the progress after it are one transaction.

How far each job is stands in the table `bessemer_jobs` of the same database. What a job's key has not seen is
appended to what the table has; a job that is complete is not done again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bessemer.core.errors import DataError, EnvironmentFault, StoreError, UsageError, did_you_mean
from bessemer.predict.protocol import Job, Progress, Target

if TYPE_CHECKING:
    import pyarrow as pa

JOBS = "bessemer_jobs"
_CREATE = (
    f'CREATE TABLE IF NOT EXISTS {JOBS} (job VARCHAR PRIMARY KEY, "table" VARCHAR, batches BIGINT, '
    '"rows" BIGINT, "file" BIGINT, "row" BIGINT, complete BOOLEAN)'
)
_READ = f'SELECT batches, "rows", "file", "row", complete FROM {JOBS} WHERE job = ?'


def table_of(target: Target) -> str:
    """The table that a target names.

    Raises:
        UsageError: it names none.
    """
    name = str(target.options.get("table") or "")
    if not name:
        raise UsageError(f"no table is named in '{target.where}'", fix="give --table NAME")
    return name


def check_columns(where: str, table: str, there: list[str], wanted: list[str]) -> None:
    """Refuse a table that lacks a column.

    Raises:
        UsageError: naming it, and what the table has.
    """
    known = {name.lower() for name in there}
    for name in wanted:
        if name.lower() not in known:
            raise UsageError(
                f"table '{table}' in '{where}' has no column '{name}'",
                why=did_you_mean(name, there),
                fix="add the column, or name a table that does not exist: it is made",
            )


def no_second_time(table: str, key: str) -> UsageError:
    """`--restart` on a table that has rows of the job."""
    return UsageError(
        f"table '{table}' has rows of this job, and which they are is not known",
        why="with --restart they would be there twice",
        fix=f"empty the table and run DELETE FROM {JOBS} WHERE job = '{key}', or name another table",
    )


class Database:
    """Made a sink by `connect`, `columns` and `insert`. The URL is KIND:///FILE, or just a file."""

    kind = ""
    error: type[Exception] = Exception
    #: How a note takes the place of an earlier one of the job.
    upsert = f"INSERT OR REPLACE INTO {JOBS} VALUES (?, ?, ?, ?, ?, ?, ?)"

    def __init__(self, target: Target, job: Job) -> None:
        self._job, self._target = job, target
        self._table = table_of(target)
        self._file = target.where.removeprefix(f"{self.kind}:///")
        self._connection: Any = None
        self._progress = Progress()
        self._finished = False

    def connect(self, file: str) -> Any:
        raise NotImplementedError

    def create(self, connection: Any, table: str, schema: pa.Schema) -> None:
        raise NotImplementedError

    def columns(self, connection: Any, table: str) -> list[str]:
        """The names of the table's columns; [] where there is no such table."""
        raise NotImplementedError

    def insert(self, connection: Any, table: str, rows: pa.Table) -> None:
        raise NotImplementedError

    def open(self) -> Progress:
        with self._explained():
            self._connection = self.connect(self._file)
            with self._transaction():
                self.create_jobs()
                self._progress = self._known()
                if self._job.restart and self._progress.rows:
                    raise no_second_time(self._table, self._job.key)
                there = self.columns(self._connection, self._table)
                if not there:
                    self.create(self._connection, self._table, self._job.schema)
            check_columns(self._file, self._table, there or self._job.schema.names, self._job.schema.names)
            if not self._job.resumable:  # all or nothing: what a kill left could not be told from other rows
                self._run("BEGIN")
        return self._progress

    def create_jobs(self) -> None:
        """Make the table of notes, where it is not there."""
        self._run(_CREATE)

    def _run(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        """A statement's rows, all of them: a result that is not read to its end holds the connection."""
        rows: list[Any] = self._connection.execute(statement, list(values)).fetchall()
        return rows

    def _known(self) -> Progress:
        found = self._run(_READ, [self._job.key])
        if not found:
            return Progress()
        batches, rows, file, start, complete = found[0]
        return Progress(batches, rows, file, start, bool(complete))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._run("BEGIN")
        try:
            yield
        except BaseException:
            self._run("ROLLBACK")
            raise
        self._run("COMMIT")

    def write(self, table: pa.Table, progress: Progress) -> None:
        with self._explained():
            if not self._job.resumable:
                self.insert(self._connection, self._table, table)
                self._progress = progress
                return
            with self._transaction():
                if self._known() != self._progress:
                    raise EnvironmentFault(
                        f"another `bessemer predict` writes this job into '{self._table}'",
                        why="two at once would score everything twice",
                        fix="wait for it, or name another table",
                    )
                self.insert(self._connection, self._table, table)
                self._note(progress)
        self._progress = progress

    def _note(self, progress: Progress) -> None:
        p = progress
        values = [self._job.key, self._table, p.batches, p.rows, p.file, p.row, p.complete]
        self._run(self.upsert, values)

    def finish(self) -> None:
        with self._explained():
            p = self._progress
            done = Progress(p.batches, p.rows, p.file, p.row, complete=True)
            if self._job.resumable:
                with self._transaction():
                    self._note(done)
            else:
                self._note(done)
                self._run("COMMIT")
        self._finished = True

    def close(self) -> None:
        """What was not committed goes."""
        if self._connection is not None:
            self._connection.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except self.error as error:
            kind = (
                StoreError
                if any(w in str(error) for w in ("lock", "open", "disk", "full", "readonly"))
                else DataError
            )
            raise kind(
                f"cannot write table '{self._table}' in '{self._file}'",
                why=str(error).splitlines()[0],
                fix="check the file, its rights and who else uses it; then call it again to go on",
            ) from error
