"""What the text for an output means: a file, a folder of parts, or a table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from bessemer.core.errors import UsageError, did_you_mean
from bessemer.predict.plugins import SINKS
from bessemer.predict.protocol import Target
from bessemer.predict.urls import database_scheme

_ENDINGS = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".csv.gz": "csv",
    ".tsv": "csv",
    ".tsv.gz": "csv",
    ".jsonl": "jsonl",
    ".jsonl.gz": "jsonl",
    ".ndjson": "jsonl",
    ".ndjson.gz": "jsonl",
}
_DATABASE_FILES = {".sqlite": "sqlite", ".sqlite3": "sqlite", ".db": "sqlite", ".duckdb": "duckdb"}
_FILES = ("parquet", "csv", "jsonl")
_MONGODB = ("mongodb://", "mongodb+srv://")


def target_of(
    output: str | Path | Mapping[str, Any], *, table: str = "", ending: str = "", part_rows: int | None = None
) -> Target:
    """The sink, the place and the options of an output.

    Args:
        output: a file or URL whose ending says what it is; a folder (it ends in `/`, or is one); a database's URL or
            file; or a mapping (or YAML in braces) whose key is a sink or `sql`: {csv: out/, part_rows: 100000}.
        table: of a database. ending: a folder's parts, such as csv.gz. part_rows: the rows of a part.

    Raises:
        UsageError: it means no sink.

    >>> target_of("scored.csv.gz").kind, target_of("s3://bucket/scored/", ending="jsonl").kind
    ('csv', 'jsonl')
    >>> target_of("sqlite:///shop.db", table="scored").kind
    'sqlite'
    """
    text = str(output)
    words = {"table": table or None, "part_rows": part_rows}
    given = {name: value for name, value in words.items() if value is not None}
    if isinstance(output, Mapping) or text.lstrip().startswith("{"):
        target = _of_words(dict(output) if isinstance(output, Mapping) else _parsed(text), given)
    else:
        target = _of_text(text, given, ending)
    rows = target.options.get("part_rows", 1)
    if isinstance(rows, bool) or not isinstance(rows, int) or rows < 1:
        raise UsageError(f"a part cannot have {rows!r} rows", fix="--part-rows 1000000")
    return target


def _of_text(text: str, given: Mapping[str, Any], ending: str) -> Target:
    if text.startswith(_MONGODB):
        return Target("mongodb", text, options=given)
    scheme = database_scheme(text).replace("postgresql", "postgres")
    kind = (
        scheme
        if scheme in SINKS
        else "ibis"
        if scheme
        else _DATABASE_FILES.get(Path(text).suffix.lower(), "")
    )
    if kind and ("://" not in text or scheme):
        return Target(kind, text, options=given)
    if text.endswith("/") or (ending and not _kind(text)) or ("://" not in text and Path(text).is_dir()):
        return _folder(text, given, ending or "parquet")
    if not _kind(text):
        raise UsageError(
            f"cannot write '{Path(text).name}'",
            fix=f"give the output one of {', '.join(_ENDINGS)}, end a folder with '/', or name a database",
        )
    return Target(_kind(text), text, options=given)


def _folder(text: str, given: Mapping[str, Any], ending: str) -> Target:
    suffix = f".{ending.lstrip('.')}"
    if suffix not in _ENDINGS:
        names = [known.lstrip(".") for known in _ENDINGS]
        raise UsageError(f"no format '{ending}'", fix=did_you_mean(ending, names))
    return Target(_ENDINGS[suffix], text, folder=True, options={**given, "ending": suffix})


def _kind(text: str) -> str:
    """The format by the ending, the longest that fits."""
    fits = [ending for ending in _ENDINGS if text.lower().endswith(ending)]
    return _ENDINGS[max(fits, key=len)] if fits else ""


def _of_words(words: dict[str, Any], given: Mapping[str, Any]) -> Target:
    key = next((name for name in words if name == "sql" or name in SINKS), "")
    if not key:
        first = next(iter(words), "")
        raise UsageError(f"'{first}' is not a kind of output", fix=did_you_mean(first, [*SINKS, "sql"]))
    where = str(words.pop(key))
    options = {**words, **given}
    if key == "sql":
        return _of_text(where, options, "")
    if key in _FILES:
        if unknown := [name for name in options if name not in ("part_rows", "format")]:
            raise UsageError(f"no option '{unknown[0]}' for {key}", fix="known: part_rows, format")
        if where.endswith("/") or not _kind(where):
            return _folder(where, options, str(options.pop("format", key)))
        return Target(key, where, options=options)
    return Target(key, where, options=options)


def _parsed(text: str) -> dict[str, Any]:
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UsageError(f"the output '{text}' is not YAML", why=str(error).splitlines()[0]) from None
    if not isinstance(value, dict):
        raise UsageError(f"the output '{text}' is no mapping", fix="'{sql: sqlite:///app.db, table: t}'")
    return value
