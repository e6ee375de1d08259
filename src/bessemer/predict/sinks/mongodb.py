"""A collection of a MongoDB: a row's `_id` is its job and number, so that writing it again changes nothing.

How far a job is stands in the collection `bessemer_jobs`, written after the rows. What a killed call wrote beyond it
is written again over itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from bessemer.core.errors import DataError, EnvironmentFault, StoreError, UsageError
from bessemer.core.mongo import connect, database_of, explained, shown
from bessemer.predict.protocol import Job, Progress, Target
from bessemer.predict.sinks.database import JOBS

if TYPE_CHECKING:
    import pyarrow as pa

_WORDS = ("collection", "table")
#: Documents of one request.
_ROWS = 1000
#: Digits of a row's number: ids sort as the rows do.
_DIGITS = 12
#: Bits of BSON's integers, beside the sign.
_BITS = 63


class MongoDB:
    def __init__(self, target: Target, job: Job) -> None:
        self._job, self._url = job, target.where
        if unknown := [name for name in target.options if name not in _WORDS]:
            raise UsageError(f"no option '{unknown[0]}' for mongodb", fix="known: collection")
        self._collection = str(target.options.get("collection") or target.options.get("table") or "")
        if not self._collection:
            raise UsageError(
                f"no collection is named in '{shown(self._url)}'", fix="'{mongodb: URL, collection: NAME}'"
            )
        if "_id" in job.schema.names:
            raise UsageError(
                f"column '_id' cannot be kept in '{shown(self._url)}'",
                why="there a row's `_id` is its job and its number, so that none is written twice",
                fix="leave it out of --keep, or have the source give it under another name too",
            )
        if not job.resumable:
            raise UsageError(
                f"rows of this source cannot go into '{shown(self._url)}' exactly once",
                why="the source cannot be gone on with after a kill, and documents are written one by one",
                fix="give --snapshot: the rows are then kept on disk first, and can be gone on with",
            )
        self._progress = Progress()
        self._client: Any = None

    def open(self) -> Progress:
        from pymongo.write_concern import WriteConcern

        self._client = connect(self._url, 30.0)
        with self._told():
            safe = WriteConcern("majority", j=True)
            database = database_of(self._client, self._url).with_options(write_concern=safe)
            self._rows, self._jobs = database[self._collection], database[JOBS]
            if self._collection not in database.list_collection_names():
                database.create_collection(self._collection)
            self._progress = self._known()
            if self._job.restart and self._progress != Progress():
                self._rows.delete_many({"_id": {"$gte": self._id(0), "$lt": self._id(10**_DIGITS - 1)}})
                self._jobs.delete_one({"_id": self._job.key})
                self._progress = Progress()
        return self._progress

    def _known(self) -> Progress:
        found = self._jobs.find_one({"_id": self._job.key})
        if found is None:
            return Progress()
        return Progress(**{name: found[name] for name in asdict(Progress())})

    def _id(self, row: int) -> str:
        return f"{self._job.key[:32]}:{row:0{_DIGITS}}"

    def write(self, table: pa.Table, progress: Progress) -> None:
        from pymongo import ReplaceOne

        with self._told():
            number = self._progress.rows
            for batch in table.to_batches(max_chunksize=_ROWS):
                rows = [{name: _bson(v) for name, v in row.items()} for row in batch.to_pylist()]
                wanted = [
                    ReplaceOne({"_id": self._id(number + i)}, row, upsert=True) for i, row in enumerate(rows)
                ]
                self._rows.bulk_write(wanted, ordered=False)
                number += len(rows)
            self._note(progress)

    def _note(self, progress: Progress) -> None:
        """Write down how far the job is, where it is as far as this call left it."""
        from pymongo.errors import DuplicateKeyError

        before = asdict(self._progress) if self._progress != Progress() else {"batches": {"$exists": False}}
        said = {**asdict(progress), "collection": self._collection, **self._job.facts}
        upsert = self._progress == Progress()
        with suppress(DuplicateKeyError):  # somebody else was first: looked at below
            self._jobs.replace_one({"_id": self._job.key, **before}, said, upsert=upsert)
        if self._known() != progress:
            raise EnvironmentFault(
                f"another `bessemer predict` writes this job into '{self._collection}'",
                why="two at once would score everything twice",
                fix="wait for it, or name another collection",
            )
        self._progress = progress

    def finish(self) -> None:
        if not self._progress.complete:
            with self._told():
                self._note(replace(self._progress, complete=True))

    def close(self) -> None:
        if self._client is not None:
            self._client.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            with explained(f"{shown(self._url)}/{self._collection}", "written"):
                yield
        except DataError as error:
            raise StoreError(error.what, why=error.why, fix=error.fix) from error


def _bson(value: Any) -> Any:
    """Values that BSON has no type for: dates as midnight, integers beyond 64 bits as decimals, times of day as text.

    A decimal of more digits than BSON has, 34, is text too: rounded it would be another value.
    """
    import datetime as dt
    from decimal import Decimal, DecimalException

    from bson import Decimal128

    if isinstance(value, dict):
        return {name: _bson(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_bson(inner) for inner in value]
    if isinstance(value, int) and value.bit_length() > _BITS:
        return Decimal128(str(value))
    if isinstance(value, Decimal):
        try:
            return Decimal128(value)
        except DecimalException:
            return str(value)
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return dt.datetime(value.year, value.month, value.day)
    return value.isoformat() if isinstance(value, dt.time) else value
