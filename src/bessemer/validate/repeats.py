"""Rows whose key stands in an earlier row already."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bessemer.core.sql import quote
from bessemer.validate.protocol import ROW

#: So many rows are grouped at once: more keys than that are looked at in parts, by their hash, to need less memory.
_AT_ONCE = 1_500_000


def repeats(connection: Any, relation: str, numbered: str, key: Sequence[str], table: str, rows: int) -> str:
    """SQL that is true for rows whose key an earlier row has; '' where there are none.

    A key with a missing value is equal to no other. The numbers of the rows are kept in a temporary table, so that the
    data is grouped once.

    Args:
        relation, numbered: the data, without and with the rows' numbers.
        key: column names.
        table: the name of the temporary table. rows: how many the data has.
    """
    columns = ", ".join(quote(name) for name in key)
    there = " AND ".join(f"{quote(name)} IS NOT NULL" for name in key)
    twice, found = quote(f"{table}: keys"), quote(table)
    some, many = f"SELECT {columns} FROM {relation} WHERE {there}", f"GROUP BY {columns} HAVING count(*) > 1"
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {twice} AS {some} AND false {many}")
    parts = max(1, -(-rows // _AT_ONCE))
    for part in range(parts):
        test = f"AND hash({columns}) % {parts} = {part}" if parts > 1 else ""
        connection.execute(f"INSERT INTO {twice} {some} {test} {many}")
    if not connection.execute(f"SELECT count(*) FROM {twice}").fetchone()[0]:
        return ""
    ranked = (
        f"SELECT {ROW}, row_number() OVER (PARTITION BY {columns} ORDER BY {ROW}) AS nth "
        f"FROM {numbered} SEMI JOIN {twice} USING ({columns})"
    )
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {found} AS SELECT {ROW} FROM ({ranked}) WHERE nth > 1")
    return f"{ROW} IN (SELECT {ROW} FROM {found})"
