"""What the sinks of warehouses share: rows go into a table of their own first, then in with the note, in one step.

How far each job is stands in the table `bessemer_jobs` beside the one that is written. A note moves only from where
this call has left it: of two that write one job, the second is refused. Batches wait as those of a lake do.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import ValidationError

from bessemer.core.errors import DataError, StoreError, UsageError, did_you_mean
from bessemer.core.spec import Spec
from bessemer.core.store import explained as disk
from bessemer.predict.protocol import Job, Progress, Target
from bessemer.predict.sinks.lake import Lake

if TYPE_CHECKING:
    import pyarrow as pa

Options = TypeVar("Options", bound=Spec)
#: The columns of `bessemer_jobs`, and what a note has of a job.
NOTED = ("batches", "rows", "file", "row", "complete")


class Warehouse(Lake):
    """Made a sink by `connect`, `noted`, `moved` and `explained`."""

    def __init__(self, where: str, job: Job) -> None:
        super().__init__(Target("", where), job)
        self._noted: Progress | None = None

    def noted(self) -> Progress:
        """What `bessemer_jobs` says of the job."""
        raise NotImplementedError

    def moved(self, before: Progress, after: Progress, rows: Path | None) -> bool:
        """Add the rows of a Parquet file and move the note, both or neither; False where it is not at `before`."""
        raise NotImplementedError

    def explained(self) -> AbstractContextManager[None]:
        """Errors of the client as a DataError."""
        raise NotImplementedError

    def only(self, found: Sequence[Any], notes: str) -> Any:
        """The one note of the job.

        Args:
            found: the rows with the job's key. notes: the table they are in.

        Raises:
            DataError: there are others, or none.
        """
        if len(found) != 1:
            raise DataError(
                f"{len(found)} notes of the job '{self._job.key}' are in {notes}, and there has to be one",
                why="how far the job is cannot be told: two calls began it at once, or the table was changed",
                fix=f"of the rows with job = '{self._job.key}' keep the one with the most batches, delete the others, "
                "and call it again",
            )
        return found[0]

    def known(self) -> Progress:
        found = self.noted()
        self._noted = self._noted or found
        return found

    def commit(self, rows: pa.Table | pa.RecordBatchReader, progress: Progress) -> None:
        assert self._noted is not None, "the sink was not opened"
        with tempfile.TemporaryDirectory(prefix="bessemer-predict-") as folder:
            file = Path(folder) / "rows.parquet"
            if not self.moved(self._noted, progress, file if _written(file, rows) else None):
                raise self.another()
        self._noted = progress

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            with super()._told(), self.explained():
                yield
        except DataError as error:
            raise StoreError(error.what, why=error.why, fix=error.fix) from error


def _written(file: Path, rows: pa.Table | pa.RecordBatchReader) -> int:
    """Write rows as a warehouse takes them; gives how many."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = taken(rows.schema)
    batches = rows.to_batches() if isinstance(rows, pa.Table) else rows
    number = 0
    with disk("writing", file), pq.ParquetWriter(file, schema) as writer:
        for batch in batches:
            columns = [
                _plain(column, field.type) for column, field in zip(batch.columns, schema, strict=True)
            ]
            writer.write_batch(pa.record_batch(columns, schema=schema))
            number += batch.num_rows
    return number


def taken(schema: pa.Schema) -> pa.Schema:
    """The types that go in: nested values as JSON text, unsigned integers of 64 bits as decimals.

    >>> import pyarrow as pa
    >>> taken(pa.schema({"a": pa.list_(pa.int8()), "b": pa.uint64(), "c": pa.timestamp("ns")})).types
    [DataType(string), Decimal128Type(decimal128(20, 0)), TimestampType(timestamp[us])]
    """
    import pyarrow as pa
    import pyarrow.types as pt

    def kind(found: pa.DataType) -> pa.DataType:
        if pt.is_nested(found) or pt.is_null(found) or pt.is_string_view(found):
            return pa.string()
        if pt.is_timestamp(found):
            return pa.timestamp("us", found.tz)
        if pt.is_time(found):
            return pa.time64("us")
        return pa.decimal128(20, 0) if found == pa.uint64() else found

    return pa.schema([(field.name, kind(field.type)) for field in schema])


def _plain(column: pa.Array, kind: pa.DataType) -> pa.Array:
    import orjson
    import pyarrow as pa

    if not pa.types.is_nested(column.type):
        return column.cast(kind, safe=False)
    texts = (None if v is None else orjson.dumps(v, default=str).decode() for v in column.to_pylist())
    return pa.array(texts, kind)


def options_of(model: type[Options], target: Target, given: Mapping[str, Any], example: str) -> Options:
    """The words of a target, checked.

    Args:
        given: what its address says. example: how one is written.

    Raises:
        UsageError: a word is unknown, missing or wrong.
    """
    words = {name: value for name, value in target.options.items() if name != "part_rows"}
    try:
        return model.model_validate({**given, **words})
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        name = ".".join(map(str, first["loc"])) or target.kind
        known = [field.alias or name for name, field in model.model_fields.items()]
        fix = did_you_mean(name, known) if first["type"] == "extra_forbidden" else ""
        if name == "table":
            raise UsageError(f"no table is named for {target.kind}", fix="give --table NAME") from None
        raise UsageError(
            f"the output's `{name}` cannot be: {first['msg']}", fix=fix or f"write {example}"
        ) from None


def address(url: str) -> tuple[str, str, str, list[str], dict[str, Any]]:
    """User, password, host, the names of the path, and the options of a URL.

    >>> address("bigquery://shop-project/sales?location=EU")
    ('', '', 'shop-project', ['sales'], {'location': 'EU'})
    """
    parts = urlsplit(url)
    login, _, host = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    names = [unquote(name) for name in parts.path.split("/") if name]
    return unquote(user), password, host, names, dict(parse_qsl(parts.query))
