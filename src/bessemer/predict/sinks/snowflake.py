"""A table of Snowflake: each batch is copied into a temporary table, and goes in with its note in one transaction."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import astuple
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import ConfigDict, Field

from bessemer.core.errors import DataError, UsageError
from bessemer.core.secrets import LITERAL_FOUND
from bessemer.core.snowflake import SnowflakeLogin, connect, explained
from bessemer.core.snowflake_load import loaded, type_of
from bessemer.core.sql import quote
from bessemer.predict.protocol import Job, Progress, Target
from bessemer.predict.sinks.database import JOBS
from bessemer.predict.sinks.warehouse import NOTED, Warehouse, address, options_of, taken

if TYPE_CHECKING:
    import pyarrow as pa

_COLUMNS = ("job", "table", *NOTED)
#: The connector's numbers of the types that hold what JSON does.
_JSON = (5, 9, 10)
#: Names that Snowflake keeps in capitals where nobody quotes them.
_ORDINARY = re.compile(r"[a-z_][a-z0-9_$]*")


class SnowflakeTarget(SnowflakeLogin):
    model_config = ConfigDict(serialize_by_alias=True)

    snowflake: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$")] = Field(
        description="The account, as organisation-account."
    )
    database: str = Field(min_length=1, description="The database; it must be there.")
    of_schema: str = Field(
        default="PUBLIC", alias="schema", min_length=1, description="The schema that the table is in."
    )
    table: str = Field(min_length=1, description="The table; it is made where it is not there.")


class Snowflake(Warehouse):
    """Appends to a table; names are as written, or in capitals, as Snowflake keeps them."""

    def __init__(self, target: Target, job: Job) -> None:
        example = "snowflake://USER@ACCOUNT/DATABASE/SCHEMA?password_env=NAME"
        self._options = o = options_of(SnowflakeTarget, target, _given(target.where), example)
        super().__init__(f"{o.snowflake}/{o.database}/{o.of_schema}/{o.table}", job)
        self._connection: Any = None
        self._into, self._there = "", dict[str, Any]()

    def connect(self) -> list[str]:
        o = self._options
        self._connection = connect(o, o.snowflake, o.database, o.of_schema)
        kinds = ["VARCHAR", "VARCHAR", *["NUMBER(38, 0)"] * 4, "BOOLEAN"]
        listed = ", ".join(f"{quote(n.upper())} {kind}" for n, kind in zip(_COLUMNS, kinds, strict=True))
        if self._described(_notes()) is None:
            self._run(f"CREATE TABLE IF NOT EXISTS {_notes()} ({listed})")
        columns = self._found()
        self._there = by_name(columns)
        self._run(
            f"MERGE INTO {_notes()} AS n USING (SELECT ? AS JOB, ? AS NAME) AS o ON n.JOB = o.JOB "
            f"WHEN NOT MATCHED THEN INSERT ({_listed(_COLUMNS)}) VALUES (o.JOB, o.NAME, 0, 0, 0, 0, FALSE)",
            (self._job.key, o.table),
        )
        return [column.name for column in columns]

    def _found(self) -> list[Any]:
        """The columns of the table, which is made where there is none."""
        for name in dict.fromkeys((self._options.table, _kept(self._options.table))):
            self._into = quote(name)
            if found := self._described(self._into):
                return found
        schema = taken(self._job.schema)
        columns = zip(_names(schema.names), schema, strict=True)
        listed = ", ".join(f"{quote(name)} {type_of(field.type)}" for name, field in columns)
        self._run(f"CREATE TABLE IF NOT EXISTS {self._into} ({listed})")
        return self._described(self._into) or []

    def _described(self, table: str) -> list[Any] | None:
        """The columns of a table; None where it is not there."""
        from snowflake.connector.errors import ProgrammingError

        with self.explained(), self._connection.cursor() as cursor:
            try:
                return list(cursor.describe(f"SELECT * FROM {table}"))
            except ProgrammingError as error:
                if error.errno != 2003:  # not there, or not to be seen
                    raise
                return None

    def noted(self) -> Progress:
        names = _listed(NOTED)
        found = self._run(f"SELECT {names} FROM {_notes()} WHERE JOB = ?", (self._job.key,))
        batches, rows, file, row, complete = self.only(found, f"{self._where}: {_notes()}")
        return Progress(int(batches), int(rows), int(file), int(row), bool(complete))

    def moved(self, before: Progress, after: Progress, rows: Path | None) -> bool:
        schema = taken(self._job.schema)
        brought = None if rows is None else loaded(self._run, 1, schema, [rows])
        self._run("BEGIN")
        try:
            if not self._note(before, after):  # it holds the note until the end, so that a second one waits
                self._run("ROLLBACK")
                return False
            if brought is not None:
                self._run(self._insert(brought, schema))
        except BaseException:
            with suppress(DataError):
                self._run("ROLLBACK")
            raise
        self._run("COMMIT")
        return True

    def _note(self, before: Progress, after: Progress) -> bool:
        said = ", ".join(f"{quote(name.upper())} = ?" for name in NOTED)
        sql = f"UPDATE {_notes()} SET {said} WHERE JOB = ? AND BATCHES = ? AND NOT COMPLETE"
        ((number, *_),) = self._run(sql, (*astuple(after), self._job.key, before.batches))
        return int(number) == 1

    def _insert(self, brought: str, schema: pa.Schema) -> str:
        columns = [self._there.get(name) or self._there[name.lower()] for name in schema.names]
        values = [
            f"PARSE_JSON({quote(name)})" if column.type_code in _JSON else quote(name)
            for name, column in zip(schema.names, columns, strict=True)
        ]
        names = ", ".join(quote(column.name) for column in columns)
        return f"INSERT INTO {self._into} ({names}) SELECT {', '.join(values)} FROM {brought}"

    def _run(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        with self.explained(), self._connection.cursor() as cursor:
            cursor.execute(sql, tuple(values))
            return list(cursor.fetchall())

    def explained(self) -> AbstractContextManager[None]:
        return explained(self._where, "written")

    def close(self) -> None:
        """What was not committed goes."""
        super().close()
        if self._connection is not None:
            self._connection.close()


def _given(where: str) -> dict[str, Any]:
    """What the address says: snowflake://USER:${PASSWORD}@ACCOUNT/DATABASE/SCHEMA, or the account alone."""
    if "://" not in where:
        return {"snowflake": where}
    user, password, account, names, options = address(where)
    named = re.fullmatch(r"\$\{(\w+)\}", password)
    if password and not named:
        raise UsageError("the output's address cannot be used", why=LITERAL_FOUND)
    login = {"user": user, "password_env": named[1] if named else ""}
    place = dict(zip(("database", "schema"), names, strict=False))
    return {"snowflake": account, **place, **{n: v for n, v in login.items() if v}, **options}


def by_name(columns: Sequence[Any]) -> dict[str, Any]:
    """Columns by their names in small letters, and by the names that they have, which come first."""
    return {column.name.lower(): column for column in columns} | {column.name: column for column in columns}


def _notes() -> str:
    return quote(JOBS.upper())


def _kept(name: str) -> str:
    return name.upper() if _ORDINARY.fullmatch(name) else name


def _names(names: Sequence[str]) -> list[str]:
    """The names of new columns: in capitals, unless two would then be the same."""
    capitals = [_kept(name) for name in names]
    return capitals if len(set(capitals)) == len(capitals) else list(names)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(quote(name.upper()) for name in names)
