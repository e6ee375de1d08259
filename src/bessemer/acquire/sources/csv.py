"""Delimited text: one file or many, plain, gzip or zip, in any encoding."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from bessemer.acquire.dialect import Dialect, find_dialect
from bessemer.acquire.files import fetch, fingerprint_files, shown
from bessemer.acquire.options import Checksum, PathText
from bessemer.acquire.protocol import Place, Relation
from bessemer.acquire.transcode import to_utf8
from bessemer.core.errors import DataError
from bessemer.core.spec import Spec
from bessemer.core.sql import quote

if TYPE_CHECKING:
    from bessemer.core.stage import Context


ColumnType = Literal["boolean", "integer", "number", "string", "timestamp"]

#: Texts of a CSV cell that mean "no value".
NULL_TEXTS = ("", "NA", "N/A", "#N/A", "NaN", "nan", "NULL", "null")


class CsvSource(Spec):
    csv: PathText = Field(
        description="A file, a folder, a glob, a URL (https, s3, gs...), or python://package/file for a file "
        "inside an installed Python package. .gz and .zip (one member) are unpacked."
    )
    delimiter: str | None = Field(
        default=None, min_length=1, max_length=4, description="Found from the file where it is not given."
    )
    quote: str = Field(default='"', max_length=1, description="The quote character; '' for none.")
    header: bool = Field(default=True, description="Whether the first line has the column names.")
    null: tuple[str, ...] = Field(
        default=NULL_TEXTS, strict=False, description="Texts that mean a missing value."
    )
    encoding: str = Field(default="utf-8", description="The text encoding, such as latin-1 or cp1252.")
    types: dict[str, ColumnType] = Field(
        default_factory=dict, description="Column types that are not to be guessed, such as {zip: string}."
    )
    sha256: Checksum = None


class Csv:
    """One table from one or more CSV files; columns are matched by name, in any order."""

    def __init__(self, name: str, options: CsvSource) -> None:
        self.name, self.options = name, options

    def uri(self) -> str:
        return shown(self.options.csv)

    def fingerprint(self, place: Place) -> str:
        return fingerprint_files(self.options.csv, place, "csv", self.options.sha256)

    def open(self, connection: Any, ctx: Context) -> Relation:
        import duckdb

        files = fetch(self.options.csv, ctx, "csv", self.options.sha256)
        files = [to_utf8(file, self.options.encoding, ctx) for file in files]
        scans: list[str] = []
        header: tuple[str, ...] = ()
        for file in files:
            try:
                dialect = find_dialect(connection, file, self.options)
                scans.append(self._scan(connection, dialect, of_many=len(files) > 1))
            except duckdb.Error as error:
                raise self._explain(error, file) from error
            header = header or dialect.header
        query = "\nUNION ALL BY NAME\n".join(scans)
        return Relation(query, files=tuple(files), header=header, explain=self._explain)

    def _scan(self, connection: Any, dialect: Dialect, *, of_many: bool) -> str:
        """The SQL that reads one file. Of many, a column without any value takes its type from the other files."""
        source = dialect.read()
        texts = [
            n for n, kind in dialect.columns.items() if kind == "VARCHAR" and n not in self.options.types
        ]
        if not of_many or not texts:
            return f"SELECT * FROM {source}"
        tests = ", ".join(f"count({quote(name)})" for name in texts)
        counts = connection.execute(f"SELECT {tests} FROM {source}").fetchone()
        empty = [quote(name) for name, count in zip(texts, counts, strict=True) if count == 0]
        cast = ", ".join(f"NULL AS {name}" for name in empty)
        return f"SELECT * REPLACE ({cast}) FROM {source}" if empty else f"SELECT * FROM {source}"

    def _explain(self, error: Exception, file: Path | None = None) -> DataError:
        """DuckDB's error in fewer words."""
        name, text = file.name if file else self.uri(), str(error)
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        if "unicode" in text or "utf-8 encoded" in text:
            return DataError(
                f"'{name}' is not UTF-8 text",
                why=next((line for line in lines if "Line:" in line), lines[0]),
                fix="give its encoding, as in `encoding: cp1252` (Windows, Excel) or utf-16; or save it as UTF-8",
            )
        useful = [line for line in lines[:4] if not line.startswith(("Possible", "*", "Column "))]
        fix = "correct that line; a field that contains the delimiter must stand in quotes"
        if "converting column" in text:
            fix = "correct the value, add it to `null`, or give the column another type in `types`"
        return DataError(f"'{name}' cannot be read as CSV", why="; ".join(useful), fix=fix)
