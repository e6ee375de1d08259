"""Rows of files: Parquet by pyarrow where it stands, CSV and JSON lines by DuckDB in the types of the model."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from bessemer.core.errors import DataError, UsageError, did_you_mean
from bessemer.predict.batches import exact
from bessemer.predict.datafiles import DataFile
from bessemer.predict.protocol import Batch
from bessemer.predict.textreader import TextReader

if TYPE_CHECKING:
    from bessemer.core.signature import Field


class FileRows:
    """The wanted columns of every file, file after file, row after row; a batch never has rows of two files.

    keep: columns that must be there. What is kept of a CSV is kept as text: an id of '00012' is not 12.
    """

    def __init__(
        self,
        uri: str,
        files: Sequence[DataFile],
        inputs: Sequence[Field],
        keep: Sequence[str],
        rows: int,
        folder: Path,
    ) -> None:
        self.uri, self.files = uri, files
        self.inputs, self.keep, self.folder, self._rows = inputs, keep, folder, rows
        self._opened: TextReader | None = None
        self._wanted = list(dict.fromkeys([*keep, *(field.name for field in inputs)]))
        self._stamps = [file.stamp() for file in files]
        bare = next((f.name for f, stamp in zip(files, self._stamps, strict=True) if not stamp), "")
        self.unstable = f"nothing tells whether '{bare}' has changed (no ETag, no time)" if bare else ""

    def fingerprint(self) -> str:
        rows = [f"{file.path} {file.stamp()}" for file in self.files]
        return hashlib.sha256("\n".join(rows).encode()).hexdigest()

    def empty(self) -> pa.Table:
        file = self.files[0]
        if file.kind == "parquet":
            with self._parquet(file) as opened:
                names = self.chosen(file, opened.schema_arrow.names)
                return opened.schema_arrow.empty_table().select(names)
        return self._text(file).empty()

    def batches(self, file: int, row: int) -> Iterator[Batch]:
        for number, one in enumerate(self.files[file:], file):
            start = row if number == file else 0
            read = self._of_parquet(one, start) if one.kind == "parquet" else self._of_text(one, start)
            done = start
            for table in read:
                done += table.num_rows
                yield Batch(table, number, done)

    def close(self) -> None:
        """Let go of the text file that is open, and of its copy."""
        if self._opened is not None:
            self._opened.close()
        self._opened = None

    def chosen(self, file: DataFile, names: Sequence[str]) -> list[str]:
        """The wanted columns that the file has; those to keep it must have."""
        for name in self.keep:
            if name not in names:
                raise UsageError(
                    f"'{file.name}' has no column '{name}' to keep", fix=did_you_mean(name, names)
                )
        return [name for name in self._wanted if name in names] or list(names[:1])

    @contextmanager
    def _parquet(self, file: DataFile) -> Iterator[Any]:
        import pyarrow.parquet as pq

        try:
            with ExitStack() as stack:
                place = file.path if file.fs is None else stack.enter_context(file.open())
                facts = pq.read_metadata(place)
                there = facts.schema.to_arrow_schema().names
                texts = [f.name for f in self.inputs if f.tensor == "string" and f.name in there]
                # Text comes as a dictionary, which is what the session wants. Nothing is read ahead: memory would
                # grow with the file.
                opened = pq.ParquetFile(place, metadata=facts, read_dictionary=texts, pre_buffer=False)
                yield stack.enter_context(opened)
        except (pa.ArrowException, OSError) as error:
            raise DataError(
                f"cannot read '{file.path}' as Parquet", why=str(error), fix="check that the file is complete"
            ) from None

    def _of_parquet(self, file: DataFile, start: int) -> Iterator[pa.Table]:
        """Whole row groups before the start are not read."""
        with self._parquet(file) as opened:
            names, facts = self.chosen(file, opened.schema_arrow.names), opened.metadata
            group = 0
            while group < facts.num_row_groups and facts.row_group(group).num_rows <= start:
                start -= facts.row_group(group).num_rows
                group += 1
            groups = list(range(group, facts.num_row_groups))
            pieces = (
                opened.iter_batches(batch_size=self._rows, columns=names, row_groups=groups) if groups else ()
            )
            yield from exact(pieces, self._rows, skip=start)

    def _of_text(self, file: DataFile, start: int) -> Iterator[pa.Table]:
        yield from exact(self._text(file).read(start, self._rows), self._rows)

    def _text(self, file: DataFile) -> TextReader:
        """The reader of a file; one is open at a time."""
        if self._opened is None or self._opened.file is not file:
            self.close()
            self._opened = TextReader(file, self)
        return self._opened
