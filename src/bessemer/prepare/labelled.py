"""What the stage gets: the labelled rows, their columns, and their target as SQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bessemer.core.errors import DataError
from bessemer.core.further import Further, further_of
from bessemer.core.signature import DType, Task
from bessemer.core.sql import literal, quote

if TYPE_CHECKING:
    from bessemer.core.artifact import Artifact

#: DuckDB's own name for a row's number in a Parquet file.
ROW = "file_row_number"


@dataclass(frozen=True)
class Labelled:
    """The `labelled` artifact, opened: the Parquet file, its columns in order, the target and its classes.

    further: the targets beside the main one; null where a row has none.
    whole: the table at an engine that the rows are a sample of, as `validate` says it; None where they are all.
    """

    path: Path
    rows: int
    columns: Mapping[str, DType]
    target: str
    task: Task
    classes: tuple[Any, ...]
    whole: Mapping[str, Any] | None = None
    further: tuple[Further, ...] = ()

    @property
    def targets(self) -> tuple[str, ...]:
        """The columns that are never inputs."""
        return (self.target, *(one.name for one in self.further))

    def class_sql(self) -> str:
        """The class index as SQL (BIGINT), 0 for regression."""
        if self.task == "regression":
            return "0"
        texts = (
            literal(c) if isinstance(c, str) else str(c).lower() if isinstance(c, bool) else str(int(c))
            for c in self.classes
        )
        cases = " ".join(f"WHEN {quote(self.target)} = {text} THEN {i}" for i, text in enumerate(texts))
        return f"CAST(CASE {cases} END AS BIGINT)"


def open_labelled(artifact: Artifact) -> Labelled:
    """Read the schema and the facts of a `labelled` artifact.

    Raises:
        DataError: a column has DuckDB's own name for row numbers.
    """
    import pyarrow.parquet as pq

    path = artifact.path("data.parquet")
    file = pq.ParquetFile(path)
    columns = {f.name: _dtype(f.type) for f in file.schema_arrow}
    if taken := [name for name in columns if name.lower() == ROW]:
        raise DataError(
            f"a column is named '{taken[0]}'",
            why="DuckDB gives that name to the number of a row in a Parquet file",
            fix="rename it in `acquire: {sql: ...}`",
        )
    meta = artifact.meta
    classes, whole = tuple(meta["classes"]), meta.get("whole")
    rows, further = file.metadata.num_rows, further_of(meta)
    return Labelled(path, rows, columns, meta["target"], meta["task"], classes, whole, further)


def _dtype(kind: Any) -> DType:
    import pyarrow.types as pt

    if pt.is_boolean(kind):
        return "boolean"
    if pt.is_integer(kind):
        return "integer"
    if pt.is_floating(kind):
        return "number"
    return "timestamp" if pt.is_timestamp(kind) else "string"
