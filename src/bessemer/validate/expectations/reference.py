"""Keys that stand in another table: a file beside the project."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from pathlib import Path

from pydantic import Field, model_validator

from bessemer.core.errors import ContractError, DataError, did_you_mean
from bessemer.core.sql import literal, quote
from bessemer.core.store import file_digest
from bessemer.validate.protocol import RowExpectation, RowSettings, Subject

_READERS = {
    ".parquet": "read_parquet({files})",
    ".csv": "read_csv({files}, all_varchar = false)",
    ".csv.gz": "read_csv({files}, all_varchar = false)",
    ".jsonl": "read_json({files}, format = 'newline_delimited')",
    ".json": "read_json({files})",
}


class ReferenceSettings(RowSettings):
    columns: tuple[str, ...] = Field(
        min_length=1, strict=False, description="The columns of the data that make the key, together."
    )
    file: str = Field(
        min_length=1,
        description="The table that has the keys: Parquet, CSV or JSON lines, relative to the project file; a glob is "
        "several files.",
    )
    to: tuple[str, ...] = Field(
        default=(),
        strict=False,
        description="The columns there, in the same order; by default of the same names.",
    )

    @model_validator(mode="after")
    def _fits(self) -> ReferenceSettings:
        if self.to and len(self.to) != len(self.columns):
            raise ValueError(f"`to` has {len(self.to)} columns, `columns` has {len(self.columns)}")
        if _reader(self.file) is None:
            raise ValueError(f"{self.file!r} is none of {', '.join(_READERS)}")
        return self


def _reader(file: str) -> str | None:
    return next((call for ending, call in _READERS.items() if file.lower().endswith(ending)), None)


class Reference(RowExpectation):
    """`reference: {columns: [country], file: countries.parquet, to: [code]}`: a foreign key.

    A row breaks it whose key is not there; one with a missing value in its key does not.
    """

    Settings = ReferenceSettings

    def title(self) -> str:
        return f"reference: {', '.join(self.settings.columns)} in {self.settings.file}"

    def columns(self) -> Sequence[str]:
        return tuple(self.settings.columns)

    def reads(self, project_dir: Path, memo: MutableMapping[str, str]) -> Mapping[str, str]:
        digest = hashlib.sha256()
        for path in self._files(project_dir):
            state = path.stat()
            key = f"{path}|{state.st_size}|{state.st_mtime_ns}|{state.st_ino}"
            if key not in memo:
                memo[key] = file_digest(path)[0]
            digest.update(memo[key].encode())
        return {f"reference {self.settings.file}": digest.hexdigest()}

    def _files(self, project_dir: Path) -> Iterator[Path]:
        pattern = self.settings.file
        one = project_dir / pattern
        if one.is_file():
            yield one
            return
        found = [] if Path(pattern).is_absolute() else sorted(project_dir.glob(pattern))
        if not found:
            near = (
                did_you_mean(one.name, (p.name for p in one.parent.glob("*"))) if one.parent.is_dir() else ""
            )
            raise DataError(
                f"no file '{pattern}', which the contract refers to", fix=near or "check the path"
            )
        yield from found

    def broken(self, subject: Subject) -> str:
        import duckdb

        files = ", ".join(literal(path) for path in self._files(subject.ctx.project_dir))
        source = (_reader(self.settings.file) or "").replace("{files}", f"[{files}]")
        keys = self.settings.to or self.settings.columns
        table = quote("keys of " + hashlib.sha256(self.name.encode()).hexdigest()[:16])
        wanted = ", ".join(
            f"CAST({quote(key)} AS {subject.columns[column]}) AS k{i}"
            for i, (key, column) in enumerate(zip(keys, self.settings.columns, strict=True))
        )
        try:
            there = [row[0] for row in subject.connection.execute(f"DESCRIBE FROM {source}").fetchall()]
            self._check(keys, there)
            subject.connection.execute(
                f"CREATE OR REPLACE TEMP TABLE {table} AS SELECT DISTINCT {wanted} FROM {source}"
            )
        except duckdb.Error as error:
            raise DataError(
                f"'{self.settings.file}', which the contract refers to, cannot be read as a table of keys",
                why=str(error).strip().partition("\n")[0],
                fix="check the file, and that its columns have the types of the data's",
            ) from error
        return self._missing_in(table)

    def _check(self, keys: Sequence[str], there: Sequence[str]) -> None:
        lower = {name.lower() for name in there}
        for key in keys:
            if key.lower() not in lower:
                raise ContractError(
                    f"'{self.settings.file}' has no column '{key}', which the contract refers to",
                    fix=did_you_mean(key, there),
                )

    def _missing_in(self, table: str) -> str:
        names = [quote(name) for name in self.settings.columns]
        there = " AND ".join(f"{name} IS NOT NULL" for name in names)
        key = ", ".join(f"k{i} := {name}" for i, name in enumerate(names))
        known = ", ".join(f"k{i} := k{i}" for i in range(len(names)))
        whole = " AND ".join(f"k{i} IS NOT NULL" for i in range(len(names)))
        keys = f"SELECT struct_pack({known}) FROM {table} WHERE {whole}"
        return f"{there} AND struct_pack({key}) NOT IN ({keys})"
