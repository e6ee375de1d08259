"""CSV and TSV, with a header line; plain or gzip."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bessemer.core.errors import DataError
from bessemer.predict.formats import Gzip
from bessemer.predict.sinks.files import Files

if TYPE_CHECKING:
    import pyarrow as pa

    from bessemer.predict.formats import Format
    from bessemer.predict.protocol import Target


class CsvFormat:
    def __init__(self, delimiter: str) -> None:
        self._delimiter = delimiter

    def _written(self, table: pa.Table, *, header: bool) -> bytes:
        import pyarrow as pa
        import pyarrow.csv

        options = pyarrow.csv.WriteOptions(include_header=header, delimiter=self._delimiter)
        buffer = pa.BufferOutputStream()
        try:
            pyarrow.csv.write_csv(table, buffer, options)
        except pa.ArrowException as error:
            raise DataError(
                "a column cannot be written as CSV",
                why=str(error),
                fix="leave it out of what is kept, or write Parquet",
            ) from None
        return bytes(buffer.getvalue())

    def head(self, schema: pa.Schema) -> bytes:
        return self._written(schema.empty_table(), header=True)

    def block(self, table: pa.Table, at: int) -> tuple[bytes, bytes]:
        return self._written(table, header=False), b""

    def tail(self, schema: pa.Schema, notes: bytes) -> bytes:
        return b""


class Csv(Files):
    ending = ".csv"

    def format(self, target: Target) -> Format:
        name = str(target.options.get("ending") or target.where).lower()
        plain = CsvFormat("\t" if name.removesuffix(".gz").endswith(".tsv") else ",")
        return Gzip(plain) if name.endswith(".gz") else plain
