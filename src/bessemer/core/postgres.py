"""Where a PostgreSQL is, who asks, and a connection to it that gives Arrow."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from bessemer.core.errors import DataError, MissingExtra, UsageError
from bessemer.core.redaction import without_password
from bessemer.core.secrets import expanded, no_literal_password

_CONNECT_SECONDS = "30"
#: What to do about an error, by the first signs of its SQLSTATE or a part of its text.
_FIXES = {
    "password authentication failed": "check the user and the variable that has the password",
    "no password supplied": "write the password as ${NAME} into the URL, or into ~/.pgpass",
    "Connection refused": "check host and port, and that the server runs",
    "could not translate host name": "check the host's name",
    "does not exist": "check the name",
    "42501": "GRANT SELECT on it to this user",
    "42": "check the query",
    "22": "a value does not go through the query: mend it there",
    "08": "the connection was lost: run it again",
    "57": "the server ended the connection: run it again",
    "40001": "the server is a replica that fell behind: run it again",
}


PostgresUrl = Annotated[str, Field(min_length=1), AfterValidator(no_literal_password)]


def parameters(url: str, setting: str = "") -> dict[str, str]:
    """The connection's parameters, with each ${NAME} from the environment, as it is there: nothing is to be escaped.

    Args:
        url: postgresql://user:${PASSWORD}@host:5432/db?sslmode=verify-full, or `host=... dbname=...`.
        setting: where it stands in the project file.

    Raises:
        UsageError: it is no address of PostgreSQL. ProjectError: a variable is not set.
        MissingExtra: the client is not installed.
    """
    try:
        from psycopg import ProgrammingError
        from psycopg.conninfo import conninfo_to_dict
    except ModuleNotFoundError:
        raise MissingExtra("postgres", "psycopg", "postgres") from None
    whole = re.fullmatch(r"\$\{\w+\}", url.strip())
    try:
        given = conninfo_to_dict(expanded(url, setting) if whole else url)
    except ProgrammingError as error:
        raise UsageError(
            f"'{url}' is no address of a PostgreSQL",
            why=str(error).strip(),
            fix="postgresql://user:${PASSWORD}@host:5432/database",
        ) from None
    found = {name: expanded(str(value), setting) for name, value in given.items()}
    return {"connect_timeout": _CONNECT_SECONDS, "application_name": "bessemer", **found}


def connect(url: str, setting: str = "", *, autocommit: bool = False) -> Any:
    """An ADBC connection; without `autocommit` it is in a transaction.

    Raises:
        DataError: the server cannot be reached, or does not let us in. See `parameters` for the rest.
    """
    try:
        from adbc_driver_postgresql import dbapi
    except ModuleNotFoundError:
        raise MissingExtra("postgres", "adbc_driver_postgresql", "postgres") from None
    from psycopg.conninfo import make_conninfo

    with explained(without_password(url)):
        return dbapi.connect(make_conninfo(**parameters(url, setting)), autocommit=autocommit)


@contextmanager
def explained(where: str, verb: str = "read") -> Iterator[None]:
    """Errors of ADBC as a DataError that says what the server said.

    Args:
        where: what is shown of the address. verb: what could not be done.
    """
    from adbc_driver_manager import Error
    from pyarrow import ArrowException

    try:
        yield
    except (Error, ArrowException, OSError) as error:
        said = _said(str(error))
        state = getattr(error, "sqlstate", None) or ""
        fix = next((fix for sign, fix in _FIXES.items() if sign in said or state.startswith(sign)), "")
        raise DataError(f"'{where}' cannot be {verb}", why=said, fix=fix) from None


def _said(text: str) -> str:
    """The server's own words of an error of ADBC.

    >>> _said('NOT_FOUND: Failed: ERROR:  relation "a" does not exist\\n\\nQuery was: x. SQLSTATE: 42P01')
    'relation "a" does not exist'
    """
    text = re.split(r"\n*Query was:", text)[0]
    found = re.search(r"(?:ERROR|FATAL|PANIC):\s+(.*)", text, re.DOTALL)
    lines = [line for line in (found[1] if found else text).splitlines() if line.strip()]
    return " ".join(line.strip() for line in lines if not re.match(r"LINE \d+:|\s*\^", line))
