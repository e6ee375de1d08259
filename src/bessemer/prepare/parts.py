"""The parts written to disk: the raw rows as Parquet, in their order."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bessemer.core.errors import DataError, StoreError
from bessemer.core.parquet import bytes_a_row
from bessemer.core.sql import connect, literal
from bessemer.core.stage import Context
from bessemer.prepare.labelled import Labelled
from bessemer.prepare.splits import PARTS, Split

ROW_GROUP = 122_880
#: A row group has fewer rows where they are large: it is held as a whole when it is written, and often when it is read.
_GROUP_BYTES = 256 * 2**20
#: A file being written takes some 100 KB a column: parts of wider tables are written one after the other.
_WIDE = 1000


def write_parts(data: Labelled, split: Split, ctx: Context) -> dict[str, Path]:
    """Write each part with a DuckDB of one thread of its own: parallel, and the same bytes every time.

    Raises:
        StoreError: the disk is full or not writable, or the memory is too small for so many columns.
    """
    paths = {part: ctx.temporary(f"{part}.parquet") for part in PARTS}
    large = max(1, bytes_a_row(data.path))
    group = min(ROW_GROUP, max(2048, _GROUP_BYTES // large))
    at_once = min(ctx.threads, len(PARTS)) if len(data.columns) <= _WIDE else 1

    def write(part: str) -> None:
        import duckdb

        query = f"SELECT * FROM read_parquet({literal(data.path)}) WHERE {split.conditions[part]}"
        options = f"FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {group}"
        spill = ctx.workdir / f"spill-{part}"
        with connect(threads=1, memory=ctx.memory // at_once, temporary=spill) as connection:
            try:
                connection.execute(f"COPY ({query}) TO {literal(paths[part])} ({options})")
            except (duckdb.IOException, duckdb.OutOfMemoryException) as error:
                raise StoreError(
                    f"cannot write the {part} part",
                    why=str(error).partition("\n")[0],
                    fix="free some space or memory, or set `store:` in the project file to a larger place",
                ) from error

    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(write, PARTS))
    return paths


def check_parts(connection: object, data: Labelled, paths: dict[str, Path], ctx: Context) -> None:
    """See that every part has rows and, for classification, that every class can be learned.

    Raises:
        DataError: a part is empty, or the train part lacks a class.
    """
    import pyarrow.parquet as pq

    for part, path in paths.items():
        if pq.read_metadata(path).num_rows == 0:
            raise DataError(
                f"the {part} part has no rows",
                fix=f"make `prepare: {{split: {{{part if part != 'train' else 'test'}: ...}}}}` a larger share, "
                "or read more data",
            )
    if data.task == "regression":
        return
    for part, path in paths.items():
        sql = f"SELECT DISTINCT {data.class_sql()} AS c FROM read_parquet({literal(path)})"
        seen = {c for (c,) in connection.execute(sql).fetchall()}  # type: ignore[attr-defined]
        lacking = [str(c) for i, c in enumerate(data.classes) if i not in seen]
        if lacking and part == "train":
            raise DataError(
                f"the train part has no rows of class {', '.join(lacking)}",
                why="a class that is not trained on is never predicted",
                fix="change `prepare: {split: ...}`; without it every class is in every part",
            )
        if lacking:
            ctx.warn(f"the {part} part has no rows of class {', '.join(lacking)}")
