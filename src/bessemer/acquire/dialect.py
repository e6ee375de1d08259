"""How a CSV file is to be read: found from the whole file, and refused where rows could get lost."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bessemer.acquire.unpack import open_bytes
from bessemer.core.errors import DataError, did_you_mean
from bessemer.core.sql import literal, quote

if TYPE_CHECKING:
    from bessemer.acquire.sources.csv import CsvSource

#: Files up to this size are looked at as a whole to find their types; larger ones by a sample, then checked.
SNIFF_WHOLE = 16 * 2**20
_DELIMITERS = (",", ";", "\t", "|", "^", "~", ":")
_SNIFFED = ",;\t|"
_TYPES = {
    "boolean": "BOOLEAN",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "string": "VARCHAR",
    "timestamp": "TIMESTAMP",
}
_WHOLE_NUMBER = r"\s*[+-]?[0-9]+\s*"


@dataclass(frozen=True)
class Dialect:
    """How one file is read.

    columns: name -> DuckDB type, names made different from each other. header: the names as the file has them.
    fixed: options that are the same for every file. formats: of dates and times, where they are not ISO 8601.
    """

    file: Path
    delimiter: str
    columns: dict[str, str]
    header: tuple[str, ...]
    fixed: dict[str, str]
    formats: dict[str, str]

    def read(self, columns: dict[str, str] | None = None) -> str:
        """The DuckDB call that reads the file as these columns, guessing nothing."""
        named = ", ".join(f"{literal(n)}: {literal(kind)}" for n, kind in (columns or self.columns).items())
        options = {
            **self.fixed,
            "auto_detect": "false",
            "delim": literal(self.delimiter),
            "columns": "{" + named + "}",
            **{name: literal(value) for name, value in self.formats.items()},
        }
        return f"read_csv({literal(self.file)}, {', '.join(f'{k} = {v}' for k, v in options.items())})"


def find_dialect(connection: Any, file: Path, options: CsvSource) -> Dialect:
    """Delimiter, names and types of a file.

    A type holds for every value of the file, not only for the first ones: a column with one 1.5 after a million
    integers is a number, with one word it is text.

    Raises:
        DataError: empty, one column, lines of different length, or `types` names a column that is not there.
        duckdb.Error: not text in the encoding.
    """
    whole = file.stat().st_size <= SNIFF_WHOLE
    dialect = _sniff(connection, file, options, whole=whole)
    if not whole and not _holds(connection, dialect):
        dialect = _sniff(connection, file, options, whole=True)
    for name in options.types:
        if name not in dialect.columns:
            raise DataError(
                f"`types` names column '{name}', which '{file.name}' does not have",
                fix=did_you_mean(name, dialect.columns),
            )
    given = {name: _TYPES[kind] for name, kind in options.types.items()}
    return replace(dialect, columns={**dialect.columns, **_words(connection, dialect), **given})


def _words(connection: Any, dialect: Dialect) -> dict[str, str]:
    """Columns of yes and no, t and f, which stay the texts they are: only true and false are booleans."""
    booleans = [name for name, kind in dialect.columns.items() if kind == "BOOLEAN"]
    if not booleans:
        return {}
    tests = ", ".join(f"coalesce(bool_and(lower({quote(n)}) IN ('true', 'false')), true)" for n in booleans)
    as_text = {**dialect.columns, **dict.fromkeys(booleans, "VARCHAR")}
    row = connection.execute(f"SELECT {tests} FROM {dialect.read(as_text)}").fetchone()
    return {name: "VARCHAR" for name, plain in zip(booleans, row, strict=True) if not plain}


def _fixed(options: CsvSource) -> dict[str, str]:
    """Options that are never guessed: guessing them is how rows get lost (skipped lines, comments)."""
    return {
        "header": str(options.header).lower(),
        "quote": literal(options.quote),
        "escape": literal(options.quote),
        "comment": "''",
        "skip": "0",
        "nullstr": "[" + ", ".join(literal(text) for text in options.null) + "]",
    }


def _sniff(connection: Any, file: Path, options: CsvSource, *, whole: bool) -> Dialect:
    line = _first_line(file)
    if not line:
        raise DataError(f"file '{file.name}' is empty", why="it has no lines", fix="check what wrote it")
    fixed = _fixed(options)
    asked = {**fixed, "sample_size": "-1" if whole else "20480"}
    if options.delimiter:
        asked["delim"] = literal(options.delimiter)
    row = connection.execute(
        "SELECT Delimiter, Columns, DateFormat, TimestampFormat "
        f"FROM sniff_csv({literal(file)}, {', '.join(f'{k} = {v}' for k, v in asked.items())})"
    ).fetchone()
    columns = {column["name"]: column["type"] for column in row[1]}
    if len(columns) < 2:
        raise _one_column(file, line, options)
    header = _header(file, row[0], options.quote) if options.header else tuple(columns)
    formats = {"dateformat": row[2], "timestampformat": row[3]}
    return Dialect(file, row[0], columns, header, fixed, {k: v for k, v in formats.items() if v})


def _holds(connection: Any, dialect: Dialect) -> bool:
    """Whether types found from a sample hold for the whole file: all values convert, none would be rounded."""
    import duckdb

    integers = [name for name, kind in dialect.columns.items() if kind == "BIGINT"]
    as_text = {name: "VARCHAR" if name in integers else kind for name, kind in dialect.columns.items()}
    others = [f"count({quote(name)})" for name in dialect.columns if name not in integers]
    whole = [f"coalesce(bool_and(regexp_full_match({quote(n)}, '{_WHOLE_NUMBER}')), true)" for n in integers]
    query = f"SELECT [{', '.join(whole)}], {', '.join(others) or '0'} FROM {dialect.read(as_text)}"
    try:
        row = connection.execute(query).fetchone()
    except (duckdb.ConversionException, duckdb.InvalidInputException):
        return False
    return all(row[0])


# one column is nearly always a wrong delimiter, or lines of different length; say which ------------------
def _one_column(file: Path, line: str, options: CsvSource) -> DataError:
    likely = max(_DELIMITERS, key=line.count)
    if not line.count(likely):
        return DataError(
            f"'{file.name}' has only one column: {line[:60]!r}",
            why="a target and at least one column to learn from are needed",
            fix="if something unusual stands between the columns, give it as `delimiter`",
        )
    if likely in (options.delimiter or _SNIFFED):
        return _ragged(file, likely, options.quote)
    return DataError(
        f"'{file.name}' has only one column with delimiter {options.delimiter or ','!r}: {line[:60]!r}",
        why=f"its first line has {line.count(likely)} times {likely!r}",
        fix=f"write `delimiter: {likely!r}`" + (", or leave it out" if likely in _SNIFFED else ""),
    )


def _ragged(file: Path, delimiter: str, quoting: str) -> DataError:
    with _text(file) as text:
        rows = _rows(text, delimiter, quoting)
        width = len(next(rows, []))
        for number, row in enumerate(rows, 2):
            if row and len(row) != width:
                return DataError(
                    f"'{file.name}' row {number} has {len(row)} fields, its header has {width}",
                    why=f"the row begins {delimiter.join(row)[:60]!r}",
                    fix=f"correct the row; a field that contains {delimiter!r} must stand in quotes",
                )
    return DataError(
        f"'{file.name}' cannot be taken apart at {delimiter!r}", fix="give its `delimiter` and `quote`"
    )


def _rows(text: io.TextIOBase, delimiter: str, quoting: str) -> Any:
    if quoting:
        return csv.reader(text, delimiter=delimiter, quotechar=quoting)
    return csv.reader(text, delimiter=delimiter, quoting=csv.QUOTE_NONE)


def _header(file: Path, delimiter: str, quoting: str) -> tuple[str, ...]:
    if len(delimiter) != 1:
        return ()
    with _text(file) as text:
        return tuple(next((row for row in _rows(text, delimiter, quoting) if row), []))


def _text(file: Path) -> io.TextIOWrapper:
    return io.TextIOWrapper(open_bytes(file), "utf-8-sig", errors="replace", newline="")


def _first_line(file: Path) -> str:
    with _text(file) as text:
        return next((line.strip("\r\n") for line in text if line.strip()), "")
