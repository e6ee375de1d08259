"""From a path alone to a source: what `data: customers.parquet` in a project file means."""

from __future__ import annotations

import re
from pathlib import Path

from bessemer.core.errors import Fault, ProjectError

ENDINGS = {
    "csv": (".csv", ".csv.gz", ".csv.zip", ".tsv", ".tsv.gz", ".txt"),
    "jsonl": (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz", ".json", ".json.gz"),
    "parquet": (".parquet", ".pq"),
}
_DATABASE_FILES = {".sqlite": "sqlite", ".sqlite3": "sqlite", ".db": "sqlite", ".duckdb": "duckdb"}
_DATABASE_URL = re.compile(
    r"^(sqlite|duckdb|postgres(ql)?|mysql|mssql|snowflake|bigquery|trino|clickhouse)://"
)


def kind_from_ending(path: str) -> str:
    """The kind of file source that a file's name says, or ''.

    >>> kind_from_ending("a/b.CSV.gz"), kind_from_ending("b.xlsx")
    ('csv', '')
    """
    name = path.lower()
    if "://" in name:
        name = re.split(r"[?#]", name, maxsplit=1)[0]
    return next((kind for kind, endings in ENDINGS.items() if name.endswith(endings)), "")


def source_from_path(path: str, project_dir: Path | None = None) -> dict[str, str]:
    """The source that a bare path stands for.

    A file's ending says its kind; a folder's kind is that of the files in it; a database is a URL.

    Args:
        path: as in the project file: a file, a folder, a glob, a URL, `python://package/file`.
        project_dir: the folder that a relative path starts from; the current one by default.

    Raises:
        ProjectError: the ending is unknown, or a folder holds files of no kind or of several.

    >>> source_from_path("customers.parquet")
    {'parquet': 'customers.parquet'}
    >>> source_from_path("sqlite:///shop.db")
    {'sql': 'sqlite:///shop.db'}
    """
    if _DATABASE_URL.match(path):
        return {"sql": path}
    if kind := kind_from_ending(path):
        return {kind: path}
    if (ending := Path(path).suffix.lower()) in _DATABASE_FILES and "://" not in path:
        return {"sql": f"{_DATABASE_FILES[ending]}:///{path}"}
    folder = (project_dir or Path()) / path
    if "://" not in path and folder.is_dir():
        return {_kind_of_folder(folder, path): path}
    known = ", ".join(ending for endings in ENDINGS.values() for ending in endings)
    raise ProjectError(
        [
            Fault(
                "data",
                None,
                f"cannot tell from '{path}' what kind of data it is",
                f"known endings: {known}; or name the kind, as in `acquire: {{sources: {{data: {{csv: {path}}}}}}}`",
            )
        ]
    )


def _kind_of_folder(folder: Path, path: str) -> str:
    kinds = sorted({kind for file in folder.rglob("*") if (kind := kind_from_ending(file.name))})
    if len(kinds) == 1:
        return kinds[0]
    what = f"folder '{path}' has files of several kinds: {', '.join(kinds)}" if kinds else ""
    fix = f"name the kind, as in `acquire: {{sources: {{data: {{{kinds[0] if kinds else 'csv'}: {path}}}}}}}`"
    raise ProjectError([Fault("data", None, what or f"folder '{path}' has no data files", fix)])
