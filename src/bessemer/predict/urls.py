"""URLs as they are typed: with names of the environment in them, and shown without passwords."""

from __future__ import annotations

import os
import re

from bessemer.core.errors import UsageError

#: Schemes of databases that ibis connects to; anything else with :// is a file system's.
_DATABASES = re.compile(
    r"^(sqlite|duckdb|postgres(?:ql)?|mysql|mssql|snowflake|bigquery|trino|clickhouse|oracle|risingwave|databricks)://"
)


def database_scheme(url: str) -> str:
    """The scheme of a database's URL; '' for other texts.

    >>> database_scheme("postgres://me@host/db"), database_scheme("s3://bucket/a.parquet")
    ('postgres', '')
    """
    found = _DATABASES.match(url)
    return found[1] if found else ""


def expanded(url: str) -> str:
    """The URL with each ${NAME} taken from the environment, so that no password is typed.

    Raises:
        UsageError: a variable is not set.
    """

    def value(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            raise UsageError(f"the environment variable {match[1]} is not set", fix=f"export {match[1]}=...")
        return os.environ[match[1]]

    return re.sub(r"\$\{(\w+)\}", value, url)


def without_password(url: str) -> str:
    """The URL as it may be shown.

    >>> without_password("postgres://me:secret@host/db")
    'postgres://me:***@host/db'
    """
    return re.sub(r"(://[^:/@]*):[^@]*@", r"\1:***@", url)
