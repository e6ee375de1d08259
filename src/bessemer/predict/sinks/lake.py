"""What the sinks that write a lake's table share: rows and the progress after them are one commit.

Batches wait until it is time to make them safe, so that a table does not become a file a batch. A job that cannot be
gone on with waits on this disk as a whole, and is one commit at its end: nothing of it is there before.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bessemer.acquire.reading import words_of
from bessemer.core.errors import BessemerError, EnvironmentFault, StoreError, UsageError
from bessemer.core.redaction import without_password
from bessemer.core.store import explained
from bessemer.predict.protocol import Job, Progress, Target

if TYPE_CHECKING:
    import pyarrow as pa

#: Bytes of Arrow that wait at most.
_WAIT = 256 * 2**20


class Lake:
    """Made a sink by `connect`, `known` and `commit`."""

    #: What the project file may say beside the place.
    words: tuple[str, ...] = ()

    def __init__(self, target: Target, job: Job) -> None:
        self._target, self._job = target, job
        self._progress = Progress()
        self._waiting: list[pa.Table] = []
        self._safe = time.monotonic()
        self._spool: _Spool | None = None
        if unknown := [name for name in target.options if name not in self.words]:
            known = f"known: {', '.join(self.words)}" if self.words else "it has none"
            raise UsageError(f"no option '{unknown[0]}' for {target.kind}", fix=known)

    def connect(self) -> list[str]:
        """Open the table, or make it where there is none; gives the names of its columns."""
        raise NotImplementedError

    def known(self) -> Progress:
        """How far the table says that the job is, as it is now."""
        raise NotImplementedError

    def commit(self, rows: pa.Table | pa.RecordBatchReader, progress: Progress) -> None:
        """Add rows together with the progress after them; refuses where another has gone on with the job."""
        raise NotImplementedError

    def open(self) -> Progress:
        from bessemer.predict.sinks.database import check_columns

        with self._told():
            there = self.connect()
            check_columns(self._where, self._where, there, self._job.schema.names)
            self._progress = self.known()
        if self._job.restart and self._progress.batches:
            raise UsageError(
                f"'{self._where}' has rows of this job, and which they are is not known",
                why="with --restart they would be there twice",
                fix="leave --restart out, go back to the version before them, or name another table",
            )
        if not self._job.resumable:
            self._spool = _Spool(self._job)
        return self._progress

    @property
    def _where(self) -> str:
        return without_password(self._target.where)

    def write(self, table: pa.Table, progress: Progress) -> None:
        if self._spool is not None:
            self._spool.write(table)
        else:
            self._waiting.append(table)
        self._progress = progress
        waited = time.monotonic() - self._safe >= self._job.every
        if self._spool is None and (waited or sum(t.nbytes for t in self._waiting) > _WAIT):
            self._flush(progress)

    def _flush(self, progress: Progress) -> None:
        import pyarrow as pa

        with self._told():
            self.commit(pa.concat_tables(self._waiting or [self._job.schema.empty_table()]), progress)
        self._waiting, self._safe = [], time.monotonic()

    def finish(self) -> None:
        done = replace(self._progress, complete=True)
        if self._spool is not None:
            with self._told(), self._spool.rows() as rows:
                self.commit(rows, done)
        elif self._waiting or not self._known_complete():
            self._flush(done)
        self._progress = done

    def _known_complete(self) -> bool:
        with self._told():
            return self.known().complete

    def close(self) -> None:
        """What was not committed goes."""
        if self._spool is not None:
            self._spool.close()

    def another(self) -> EnvironmentFault:
        """That somebody else writes this very job."""
        return EnvironmentFault(
            f"another `bessemer predict` writes this job into '{self._where}'",
            why="two at once would score everything twice",
            fix="wait for it, or name another table",
        )

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except BessemerError:
            raise
        except Exception as error:
            raise StoreError(
                f"cannot write '{self._where}'",
                why=f"{type(error).__name__}: {words_of(error)}",
                fix="check the address, the rights and the table's columns; then call it again to go on",
            ) from error


class _Spool:
    """Rows on this disk until the job is whole."""

    def __init__(self, job: Job) -> None:
        import pyarrow.parquet as pq

        self._folder = tempfile.TemporaryDirectory(prefix="bessemer-predict-")
        self._file = Path(self._folder.name) / "rows.parquet"
        self._schema = job.schema
        self._writer = pq.ParquetWriter(self._file, job.schema)

    def write(self, table: pa.Table) -> None:
        with explained("writing", self._file):
            self._writer.write_table(table)

    @contextmanager
    def rows(self) -> Iterator[pa.RecordBatchReader]:
        """All of them, as a stream."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._writer.close()
        with pq.ParquetFile(self._file) as file:
            yield pa.RecordBatchReader.from_batches(self._schema, file.iter_batches())

    def close(self) -> None:
        self._writer.close()
        self._folder.cleanup()


def as_facts(job: Job) -> dict[str, Any]:
    """What is written down with each commit."""
    return {f"bessemer.{name}": str(value) for name, value in {"job": job.key, **job.facts}.items()}
