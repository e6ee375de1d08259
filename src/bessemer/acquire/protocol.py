"""What a source is: something with a fingerprint that opens as an SQL relation or a stream of batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import pyarrow as pa

    from bessemer.core.errors import DataError
    from bessemer.core.stage import Context


@dataclass(frozen=True)
class Place:
    """Where a source is looked for, before a run has a context: enough to make its fingerprint.

    memo: `path|size|mtime_ns|inode` -> sha256 of files hashed before; new ones are added.
    """

    project_dir: Path
    memo: MutableMapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Relation:
    """What a source opens as: `query` for DuckDB to select from, or else `batches`, which are read once.

    direct: the query is as cheap to run again as a landed copy would be (Parquet).
    files: what the query reads. header: the names as the source has them, where DuckDB had to rename duplicates.
    explain: from DuckDB's error while reading to one that says what to do.
    """

    query: str = ""
    batches: Iterator[pa.RecordBatch] | None = None
    direct: bool = False
    files: tuple[Path, ...] = ()
    header: tuple[str, ...] = ()
    explain: Callable[[Exception], DataError] | None = None


class Source(Protocol):
    """A system that data comes from. It is made with its options and holds no connection.

    fingerprint: equal texts mean equal content; a source that cannot tell cheaply gives a new text each time.
    open: reads through `connection` (DuckDB) where it can; big things stream, small ones may be held.
    uri: what the record of the run shows: as written, without passwords and absolute folders.
    """

    def __init__(self, name: str, options: Any) -> None: ...
    def fingerprint(self, place: Place) -> str: ...
    def open(self, connection: Any, ctx: Context) -> Relation: ...
    def uri(self) -> str: ...


class IncrementalSource(Source, Protocol):
    """A source whose rows can be asked for from a value of its cursor column on (`options.incremental`).

    Rows without a cursor belong to no call with `after`: they come with the first one alone.
    """

    def newer(self, after: Any, ctx: Context) -> Iterator[pa.RecordBatch]:
        """The rows whose cursor is `after` or greater, in any order; all rows where `after` is None.

        Args:
            after: a value of the cursor column as Arrow gave it to Python (int, float, str, datetime in UTC).
        """
