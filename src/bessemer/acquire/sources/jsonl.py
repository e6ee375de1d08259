"""JSON lines (or one JSON array of objects), read by DuckDB."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from bessemer.acquire.files import fetch, fingerprint_files, shown
from bessemer.acquire.options import Checksum, PathText
from bessemer.acquire.protocol import Place, Relation
from bessemer.acquire.unpack import open_bytes
from bessemer.core.errors import DataError
from bessemer.core.spec import Spec
from bessemer.core.sql import literal

if TYPE_CHECKING:
    from bessemer.core.stage import Context


class JsonlSource(Spec):
    jsonl: PathText = Field(
        description="JSON lines (or a JSON array): a file, folder, glob, URL or python:// path."
    )
    sha256: Checksum = None


class JsonLines:
    """One object a line; keys are columns, a key that is absent is NULL. Types come from all the lines."""

    def __init__(self, name: str, options: JsonlSource) -> None:
        self.name, self.options = name, options

    def uri(self) -> str:
        return shown(self.options.jsonl)

    def fingerprint(self, place: Place) -> str:
        return fingerprint_files(self.options.jsonl, place, "jsonl", self.options.sha256)

    def open(self, connection: Any, ctx: Context) -> Relation:
        import duckdb

        files = fetch(self.options.jsonl, ctx, "jsonl", self.options.sha256)
        names = ", ".join(literal(file) for file in files)
        relation = f"read_json([{names}], format = 'auto', sample_size = -1, union_by_name = true)"
        try:
            columns = connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
        except (duckdb.InvalidInputException, duckdb.IOException) as error:
            raise self.explain(error, files) from error
        if [row[0] for row in columns] == ["json"] and columns[0][1] == "JSON":
            raise self.explain(ValueError("the lines are not JSON objects"), files)
        return Relation(
            f"SELECT * FROM {relation}", files=tuple(files), explain=lambda e: self.explain(e, files)
        )

    def explain(self, error: Exception, files: list[Path]) -> DataError:
        """The broken line itself; where all lines are well-formed, DuckDB's words."""
        for file in files:
            if broken := _broken_line(file):
                return DataError(
                    f"'{file.name}' line {broken[0]} is not a JSON object: {broken[1]}",
                    why=broken[2],
                    fix="correct or remove that line",
                )
        return DataError(
            f"'{self.uri()}' is not JSON lines", why=str(error).splitlines()[0], fix="one object a line"
        )


def _broken_line(file: Path) -> tuple[int, str, str] | None:
    """Number, start and problem of the first line that is not an object; None for a JSON array or good lines."""
    with open_bytes(file) as lines:
        for number, line in enumerate(lines, 1):
            if number == 1 and line.lstrip()[:1] == b"[":
                return None
            try:
                if line.strip() and not isinstance(json.loads(line), dict):
                    return number, line[:60].decode("utf-8", "replace").strip(), "not an object"
            except (ValueError, RecursionError) as error:
                return number, line[:60].decode("utf-8", "replace").strip(), str(error)
    return None
