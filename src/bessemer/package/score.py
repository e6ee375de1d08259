"""Scoring files: any number of rows, in the memory of a few batches."""

from __future__ import annotations

import glob
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from bessemer.core import sql
from bessemer.core.errors import DataError, UsageError, did_you_mean
from bessemer.core.store import replacing

if TYPE_CHECKING:
    from bessemer.package.model import Model

BATCH_ROWS = 65_536
_MEMORY = 2**30

_READERS = {
    **dict.fromkeys((".parquet", ".pq"), "parquet"),
    **dict.fromkeys((".csv", ".csv.gz", ".tsv", ".tsv.gz"), "csv"),
    **dict.fromkeys((".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz"), "jsonl"),
}
_WRITERS = (".parquet", ".csv")


def predict_file(
    model: Model,
    source: str | Path,
    out: str | Path,
    *,
    explain: bool = False,
    keep: Sequence[str] = (),
    batch_rows: int = BATCH_ROWS,
    progress: Callable[[int], None] = lambda rows: None,
) -> int:
    """Score a file, or many in order of name, into a new file with a row for each row.

    Args:
        model: a loaded package.
        source: Parquet, CSV or JSON lines (the latter two also with .gz): a file, a folder of such or a glob.
        out: `.parquet` or `.csv`; it appears only when it is complete.
        explain: add the contributions (see `Model.predict`).
        keep: columns of the source to put before the predictions, to know the rows by.
        batch_rows: rows in memory at once, for each of the model's threads.
        progress: is told the rows of each batch that was written.

    Returns:
        the number of rows.

    Raises:
        DataError: the source cannot be read, or a column does not fit the model.
        UsageError: an unknown ending, an unknown column to keep, or `out` is the source.
        StoreError: disk full or read-only.
    """
    files, target = _files(source), Path(out)
    if target.suffix not in _WRITERS:
        raise UsageError(f"cannot write '{target.name}'", fix=f"give the output one of {', '.join(_WRITERS)}")
    if any(target.exists() and target.samefile(file) for file in files):
        raise UsageError(f"'{target}' is the source itself", fix="give the output another name")
    results = model.columns(explain=explain)
    for name in keep:
        if name in results:
            raise UsageError(f"cannot keep '{name}': the predictions have a column of that name")
    wanted = list(dict.fromkeys([*keep, *(field.name for field in model.signature.inputs)]))
    rows = 0
    with _writer(target) as write:
        # The schema does not depend on the rows, so an empty source gives an empty file of the same columns.
        batches = _batches(files, wanted, keep, model, batch_rows)
        for kept, scored in _scored(model, batches, keep, explain):
            columns = {name: kept.column(name) for name in keep}
            columns |= {name: scored.column(name) for name in results}
            write(pa.table(columns))
            rows += scored.num_rows
            progress(scored.num_rows)
    return rows


def _scored(
    model: Model, batches: Iterator[pa.Table], keep: Sequence[str], explain: bool
) -> Iterator[tuple[pa.Table, pa.Table]]:
    """Each batch's columns to keep, beside its predictions."""
    waiting: list[pa.Table] = []

    def noted() -> Iterator[pa.Table]:
        for batch in batches:
            waiting.append(_plain(batch.select(list(keep))))
            yield batch

    for scored in model.predict_batches(noted(), explain=explain):
        yield waiting.pop(0), scored


def _plain(table: pa.Table) -> pa.Table:
    """The table with its dictionaries written out: not every format has them."""
    fields = [
        pa.field(f.name, f.type.value_type if pa.types.is_dictionary(f.type) else f.type)
        for f in table.schema
    ]
    return table.cast(pa.schema(fields))


def _files(source: str | Path) -> list[Path]:
    path = Path(source)
    if path.is_file():
        return [path]
    pattern = path / "*" if path.is_dir() else path
    found = sorted(Path(name) for name in glob.glob(str(pattern), recursive=True))  # noqa: PTH207 - any root
    found = [name for name in found if name.is_file()]
    if not found:
        near = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        raise DataError(f"no file '{source}'", fix=did_you_mean(path.name, near))
    return found


def _kind(path: Path) -> str:
    ending = next((e for e in sorted(_READERS, key=len, reverse=True) if path.name.lower().endswith(e)), None)
    if ending is None:
        raise DataError(f"cannot tell what '{path.name}' is", fix=f"use one of {', '.join(_READERS)}")
    return _READERS[ending]


def _batches(
    files: Sequence[Path], wanted: Sequence[str], keep: Sequence[str], model: Model, batch_rows: int
) -> Iterator[pa.Table]:
    """The wanted columns of every file, in batches; at least one batch, perhaps empty, for each file."""
    for path in files:
        if _kind(path) == "parquet":
            read = _parquet(path, wanted, model, batch_rows)
        else:
            read = _text(path, wanted, keep, model, batch_rows)
        for batch in read:
            for name in keep:
                if name not in batch.schema.names:
                    hint = did_you_mean(name, batch.schema.names)
                    raise UsageError(f"'{path.name}' has no column '{name}' to keep", fix=hint)
            yield pa.Table.from_batches([batch]) if isinstance(batch, pa.RecordBatch) else batch


def _parquet(path: Path, wanted: Sequence[str], model: Model, batch_rows: int) -> Iterator[Any]:
    import pyarrow.parquet as pq

    texts = [field.name for field in model.signature.inputs if field.tensor == "string"]
    try:
        # Text comes as a dictionary, which is what the session wants.
        with pq.ParquetFile(path, read_dictionary=texts, pre_buffer=False) as file:
            columns = [name for name in wanted if name in file.schema_arrow.names]
            yield file.schema_arrow.empty_table()
            yield from file.iter_batches(batch_size=batch_rows, columns=columns)
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"cannot read '{path}' as Parquet", why=str(error), fix="check that the file is complete"
        ) from None


_SQL_TYPES = {"boolean": "BOOLEAN", "integer": "DOUBLE", "number": "DOUBLE", "string": "VARCHAR"}


def _text(
    path: Path, wanted: Sequence[str], keep: Sequence[str], model: Model, batch_rows: int
) -> Iterator[Any]:
    """CSV and JSON lines, each column read as the type the model wants rather than the one it looks like.

    What is kept of a CSV is kept as text: an id of '00012' is not 12.
    """
    import duckdb

    reader = "read_csv" if _kind(path) == "csv" else "read_json"
    options = "header = true" if reader == "read_csv" else "format = 'newline_delimited'"
    with tempfile.TemporaryDirectory(prefix="bessemer-") as spill:
        connection = sql.connect(threads=1, memory=_MEMORY, temporary=Path(spill))
        file = sql.literal(path)
        try:
            described = connection.execute(f"DESCRIBE FROM {reader}({file}, {options})").fetchall()
            found = {row[0]: row[1] for row in described}
            if reader == "read_csv":
                found |= {name: "VARCHAR" for name in keep if name in found}
            for field in model.signature.inputs:
                if field.name in found and field.dtype in _SQL_TYPES:
                    found[field.name] = _SQL_TYPES[field.dtype]
            listed = ", ".join(f"{sql.literal(name)}: {sql.literal(kind)}" for name, kind in found.items())
            chosen = ", ".join(sql.quote(name) for name in wanted if name in found) or "*"
            query = f"SELECT {chosen} FROM {reader}({file}, {options}, columns = {{{listed}}})"
            stream = connection.sql(query).to_arrow_reader(batch_rows)
            yield stream.schema.empty_table()
            yield from stream
        except (duckdb.Error, pa.ArrowException) as error:
            raise DataError(
                f"cannot read '{path}'", why=str(error).split("\n\n")[0], fix="mend the file, or the column"
            ) from None
        finally:
            connection.close()


@contextmanager
def _writer(target: Path) -> Iterator[Callable[[pa.Table], None]]:
    """A function that appends a table to a file beside the target, which takes its place at the end."""
    opened: list[Any] = []
    with replacing(target) as temporary:

        def write(table: pa.Table) -> None:
            if not opened:
                opened.append(table.schema)
                opened.append(_open(temporary, table.schema))
            if table.num_rows:
                opened[1].write_table(_as_first(table, opened[0]))

        try:
            yield write
        except BaseException:
            for one in opened[1:]:  # what went wrong first is what is told
                with suppress(pa.ArrowException, OSError):
                    one.close()
            raise
        for one in opened[1:]:
            one.close()


def _open(path: Path, schema: pa.Schema) -> Any:
    if path.suffix == ".csv":
        import pyarrow.csv

        return pyarrow.csv.CSVWriter(path, schema)
    import pyarrow.parquet as pq

    return pq.ParquetWriter(path, schema, compression="zstd")


def _as_first(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table in the types of the first one: a kept column may differ between the files of a glob."""
    try:
        return table.cast(schema)
    except pa.ArrowException as error:
        raise DataError(
            "a column to keep has other types in other files",
            why=str(error),
            fix="give it one type, or leave it out",
        ) from None
