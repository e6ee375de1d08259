"""An emulator of Snowflake, in a process and an environment of its own."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import environments

#: The newest client that this emulator understands.
REQUIREMENTS = ("fakesnow[server]==0.12.1", "snowflake-connector-python==4.0.0")
_PATIENCE = 300.0
#: The emulator sends a missing time as 1970, where Snowflake marks it as missing; it copies into no temporary table,
#: since it looks for it in the database; and it fails where a row is held by the transaction of a session that is gone,
#: where Snowflake waits, and ends a transaction that does nothing for five minutes while others wait for it.
_START = """
import contextlib
import sys
import duckdb
import fakesnow.arrow
import fakesnow.copy_into
import fakesnow.cursor
import pyarrow as pa
from sqlglot import exp
from fakesnow.cli import main

plain = fakesnow.arrow.timestamp_to_sf_struct

def marked(times):
    if isinstance(times, pa.ChunkedArray):
        times = times.combine_chunks()
    made = plain(times)
    return pa.StructArray.from_arrays(made.flatten(), fields=list(made.type), mask=times.is_null())

fakesnow.arrow.timestamp_to_sf_struct = marked
described = fakesnow.copy_into._describe_table

def found(table, connection, database, schema):
    try:
        return described(table, connection, database, schema)
    except duckdb.CatalogException:
        return described(exp.to_table(f"temp.main.{table.name}"), connection, database, schema)

fakesnow.copy_into._describe_table = found
Cursor = fakesnow.cursor.FakeSnowflakeCursor
run = Cursor._execute

def waited(self, *given):
    try:
        return run(self, *given)
    except duckdb.TransactionException as error:
        if "onflict" not in str(error):
            raise
    for other in sys.modules["fakesnow.server"].sessions.values():
        with contextlib.suppress(duckdb.TransactionException):
            other._duck_conn.rollback()
        other._in_transaction = False
    self._duck_conn.begin()
    self._conn._in_transaction = True
    return run(self, *given)

Cursor._execute = waited
sys.exit(main(["-s"]))
"""


@contextmanager
def snowflake(folder: Path) -> Iterator[int]:
    """The port of an emulator that is up, without databases; killed at the end. folder: for its log."""
    python = environments.environment("snowflake", *REQUIREMENTS)
    log = folder / "snowflake.log"
    with log.open("wb") as output:
        process = subprocess.Popen([str(python), "-c", _START], stdout=output, stderr=output)
    try:
        end = time.monotonic() + _PATIENCE
        while not (
            found := re.search(r"running on http://127.0.0.1:(\d+)", log.read_text("utf-8", "replace"))
        ):
            assert process.poll() is None, log.read_text("utf-8", "replace")
            assert time.monotonic() < end, log.read_text("utf-8", "replace")
            time.sleep(0.1)
        yield int(found[1])
    finally:
        process.kill()
        process.wait()
