"""Which URLs are of databases."""

from __future__ import annotations

import re

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
