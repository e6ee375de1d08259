"""The first rows of a source as one table: for those who look at some rather than score all."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from bessemer.predict.source import Given, open_rows

if TYPE_CHECKING:
    import pyarrow as pa

    from bessemer.core.signature import Field


def first_rows(source: Given, inputs: Sequence[Field], most: int, *, optional: str = "") -> pa.Table:
    """Up to `most` rows with the model's columns, and with the column `optional` where there is one.

    Args:
        source: what `predict` takes.

    Raises:
        UsageError: the text means no source. DataError: it is not there, or cannot be read.
    """
    import pyarrow as pa

    fields = list(inputs)
    if optional and optional not in {field.name for field in inputs}:
        from bessemer.core.signature import Field

        fields.append(Field(optional, "string", "string"))
    with tempfile.TemporaryDirectory() as folder:
        rows = open_rows(source, fields, [], min(most, 65_536), Path(folder))
        found = [rows.empty()]
        with closing(rows):
            for batch in rows.batches(0, 0):
                found.append(batch.table)
                if sum(table.num_rows for table in found) >= most:
                    break
    return pa.concat_tables(found, promote_options="permissive").slice(0, most)
