"""Parquet files into temporary tables of Snowflake, through a stage that ends with the session as they do."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bessemer.core.sql import quote

if TYPE_CHECKING:
    import pyarrow as pa


def loaded(run: Callable[[str], object], number: int, schema: pa.Schema, files: Sequence[Path]) -> str:
    """The name, in quotes, of a table with the columns that Snowflake takes; one of the same number is replaced.

    Args:
        run: runs a statement.
    """
    kept = [(field.name, kind) for field in schema if (kind := type_of(field.type))]
    table, stage = (f"BESSEMER_{what}_{number}" for what in ("SOURCE", "STAGE"))
    listed = ", ".join(f"{quote(column)} {kind}" for column, kind in kept)
    run(f"CREATE OR REPLACE TEMPORARY TABLE {table} ({listed})")
    run(f"CREATE OR REPLACE TEMPORARY STAGE {stage}")
    with tempfile.TemporaryDirectory(prefix="bessemer-put-") as plain:
        for place, file in enumerate(files):
            link = Path(plain) / f"{place}.parquet"
            _linked(file, link)
            run(f"PUT {_address(link)} @{stage} AUTO_COMPRESS = FALSE")
    taken = ", ".join(f"$1:{quote(column)}::{kind}" for column, kind in kept)
    names = ", ".join(quote(column) for column, _ in kept)
    run(
        f"COPY INTO {table} ({names}) FROM (SELECT {taken} FROM @{stage}) "
        "FILE_FORMAT = (TYPE = PARQUET USE_LOGICAL_TYPE = TRUE)"
    )
    return quote(table)


def _linked(file: Path, link: Path) -> None:
    """The file by a plain name: `*`, `?` and `[` in a path are a pattern to PUT."""
    try:
        link.symlink_to(file.absolute())
    except OSError:  # a system that lets not everybody link
        shutil.copyfile(file, link)


def _address(file: Path) -> str:
    """A path as PUT takes it: as it is, where a URI would have its odd letters as numbers.

    >>> _address(Path("/tmp/it's 5%"))
    "'file:///tmp/it\\\\'s 5%'"
    """
    escaped = str(file).replace("\\", "\\\\").replace("'", "\\'")
    return f"'file://{escaped}'"


def type_of(kind: pa.DataType) -> str:
    """Snowflake's type for one of Arrow; '' for what is not brought."""
    import pyarrow.types as pt

    if pt.is_decimal(kind):
        return f"NUMBER({kind.precision}, {kind.scale})"
    if pt.is_timestamp(kind):
        return "TIMESTAMP_TZ" if kind.tz else "TIMESTAMP_NTZ"
    tests = {
        "BOOLEAN": pt.is_boolean, "NUMBER(38, 0)": pt.is_integer, "FLOAT": pt.is_floating, "DATE": pt.is_date,
        "TIME": pt.is_time, "VARCHAR": lambda k: pt.is_string(k) or pt.is_large_string(k),
        "BINARY": lambda k: pt.is_binary(k) or pt.is_large_binary(k),
    }  # fmt: skip
    return next((name for name, test in tests.items() if test(kind)), "")
