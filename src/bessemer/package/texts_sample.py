"""The texts of a column as features, a few at a time; at most 20,000, spread evenly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from bessemer.core.sql import quote
from bessemer.package.even import spread
from bessemer.stats.arrays import Floats
from bessemer.stats.text_features import text_features

#: Texts of a column that are looked at, at most; and of each the first so many characters.
ROWS, CHARACTERS = 20_000, 1000

#: The most columns of texts that are watched.
COLUMNS = 16

_BATCH = 1024


def text_columns(sketches: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The first `COLUMNS` columns of texts of which not every value is counted one by one."""
    found = [name for name, sketch in sketches.items() if sketch["dtype"] == "string" and sketch["other"]]
    return found[:COLUMNS]


def read_texts(connection: Any, relation: str, name: str, rows: int) -> Iterator[Floats]:
    """Features (n, k) of the texts of a column that are there, a batch at a time.

    Args:
        relation: what stands after FROM; it has the column. rows: how many rows it has.
    """
    value = f"lower(left(CAST({quote(name)} AS VARCHAR), {CHARACTERS}))"
    import pyarrow as pa

    found = connection.execute(spread(relation, f"{value} AS v", rows, ROWS)).fetchnumpy()["v"]
    # what is masked is NULL, and `filled` would make a text of it
    texts = pa.array(np.ma.compressed(np.ma.asarray(found)), pa.large_string())
    yield from _batches(texts.cast(pa.large_binary()))


def _batches(texts: Any) -> Iterator[Floats]:
    for start in range(0, len(texts), _BATCH):
        part = texts.slice(start, _BATCH)
        _, offsets, data = part.buffers()
        bounds = np.frombuffer(offsets, dtype=np.int64)[part.offset : part.offset + len(part) + 1]
        held = np.frombuffer(data, dtype=np.uint8) if data is not None else np.zeros(0, dtype=np.uint8)
        made = text_features(held, bounds)
        yield made[np.diff(bounds) > 0]
