"""From a path alone to a source: what `data: customers.parquet` in a project file means."""

from __future__ import annotations

import re
from pathlib import Path

from bessemer.core.errors import Fault, ProjectError

ENDINGS = {
    "csv": (".csv", ".csv.gz", ".csv.zip", ".tsv", ".tsv.gz", ".txt"),
    "jsonl": (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz", ".json", ".json.gz"),
    "parquet": (".parquet", ".pq"),
    "excel": (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods"),
    "avro": (".avro",),
    "orc": (".orc",),
    "images": (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".ppm"),
}
_DATABASE_FILES = {".sqlite": "sqlite", ".sqlite3": "sqlite", ".db": "sqlite", ".duckdb": "duckdb"}
_MONGODB = re.compile(r"^mongodb(\+srv)?://")
_ICEBERG = ".metadata.json"
#: What stands in the folder of a lake's table or of a dataset.
_MARKS = {
    "delta": ("_delta_log",),
    "iceberg": ("metadata/*.metadata.json",),
    "datasets": ("dataset_dict.json", "dataset_info.json"),
}
_DATABASE_URL = re.compile(
    r"^(sqlite|duckdb|postgres(ql)?|mysql|mssql|snowflake|bigquery|trino|clickhouse)://"
)


def kind_from_ending(path: str) -> str:
    """The kind of file source that a file's name says, or ''.

    >>> kind_from_ending("a/b.CSV.gz"), kind_from_ending("b.xlsx"), kind_from_ending("b.docx")
    ('csv', 'excel', '')
    """
    name = path.lower()
    if "://" in name:
        name = re.split(r"[?#]", name, maxsplit=1)[0]
    if name.endswith(_ICEBERG):
        return "iceberg"
    return next((kind for kind, endings in ENDINGS.items() if name.endswith(endings)), "")


def source_from_path(path: str, project_dir: Path | None = None) -> dict[str, str]:
    """The source that a bare path stands for.

    A file's ending says its kind; a folder is a lake's table, a dataset, or of the kind of the files in it; a database
    is a URL.

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
    if _MONGODB.match(path):
        return {"mongodb": path}
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


def kind_of_marks(folder: Path) -> str:
    """The kind of a folder that is one thing as a whole, a lake's table or a dataset; '' of others."""
    return next((kind for kind, marks in _MARKS.items() for mark in marks if any(folder.glob(mark))), "")


def _kind_of_folder(folder: Path, path: str) -> str:
    if marked := kind_of_marks(folder):
        return marked
    found = [(kind, file.stem) for file in folder.rglob("*") if (kind := kind_from_ending(file.name))]
    tables = {kind for kind, stem in found if kind != "images" and stem != "metadata"}
    if not tables and any(kind == "images" for kind, _ in found):
        return "images"
    kinds = sorted({kind for kind, _ in found if kind != "images"})
    if len(kinds) == 1:
        return kinds[0]
    what = f"folder '{path}' has files of several kinds: {', '.join(kinds)}" if kinds else ""
    fix = f"name the kind, as in `acquire: {{sources: {{data: {{{kinds[0] if kinds else 'csv'}: {path}}}}}}}`"
    raise ProjectError([Fault("data", None, what or f"folder '{path}' has no data files", fix)])
