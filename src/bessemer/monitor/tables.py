"""The rows of a window as a relation that DuckDB scans: files where they are, or a table in memory."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bessemer.core.errors import DataError
from bessemer.core.sql import connect, literal
from bessemer.predict.datafiles import DataFile, find, reading

#: How DuckDB reads each kind. CSV as it stands, text: what is not of its column's type is counted, not refused.
_READERS = {
    "parquet": "read_parquet([{paths}], union_by_name = true)",
    "csv": "read_csv([{paths}], all_varchar = true, union_by_name = true)",
    "jsonl": "read_json([{paths}], format = 'newline_delimited', union_by_name = true)",
}

#: Scanning holds the bins and one block of rows a thread.
_MEMORY = 2**30


@contextmanager
def opened(data: Any) -> Iterator[tuple[Any, str]]:
    """A DuckDB connection, and what stands after FROM.

    Args:
        data: a path, folder, glob or URL of Parquet, CSV or JSON lines; or rows as `Model.predict` takes them.

    Raises:
        DataError: nothing is there, the files are of several kinds, or they cannot be read.
    """
    import duckdb

    with tempfile.TemporaryDirectory(prefix="bessemer-monitor-") as folder:
        connection = connect(threads=_threads(), memory=_MEMORY, temporary=Path(folder))
        try:
            if isinstance(data, str | os.PathLike):
                yield connection, _relation(connection, find(os.fspath(data)), Path(folder))
            else:
                from bessemer.package.tabular import as_table

                connection.register("window_rows", as_table(data))
                yield connection, "window_rows"
        except duckdb.Error as error:
            raise DataError(
                f"the window cannot be read: {data}", why=str(error).strip().splitlines()[0]
            ) from error
        finally:
            connection.close()


def _relation(connection: Any, files: list[DataFile], folder: Path) -> str:
    """What is not by columns is turned into Parquet first: it is scanned once a column."""
    kinds = sorted({file.kind for file in files})
    if len(kinds) > 1:
        raise DataError(
            f"the window has files of several kinds: {', '.join(kinds)}", fix="name those of one kind"
        )
    with reading(files[0].path):
        paths = ", ".join(literal(file.local(folder / str(i))) for i, file in enumerate(files))
    there = _READERS[kinds[0]].format(paths=paths)
    if kinds[0] == "parquet":
        return there
    whole = literal(folder / "window.parquet")
    connection.execute(f"COPY (SELECT * FROM {there}) TO {whole} (FORMAT parquet)")
    return f"read_parquet({whole})"


def _threads() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
