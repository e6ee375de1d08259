"""What every marker must do, for those who write one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.core.plugin_settings import opened
from bessemer.protect.covers import features_of, new_rows
from bessemer.protect.plugins import MARKERS
from bessemer.protect.protocol import Draw, Pool

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from bessemer.core.stage import Context


def check_marker(name: str, settings: Mapping[str, Any], pool: Pool, n: int, ctx: Context) -> pa.Table:
    """Hold a marker of the table to its protocol on training rows that it accepts; gives its covers.

    As many rows as asked for, with the columns and types of the pool; none that the model could not tell from a
    training row or from another cover; the same for the same key and others for another; progress is told.

    Raises:
        AssertionError: it does not keep to it.
    """
    marker = opened({name: dict(settings)}, MARKERS)[name]
    assert marker.refuses(pool) == "", "it refuses these rows"
    steps: list[None] = []
    covers = marker.covers(pool, n, Draw(b"1" * 32), ctx, lambda: steps.append(None))
    assert covers.num_rows == n, f"{covers.num_rows} covers, not {n}"
    assert covers.schema == pool.rows(np.arange(1)).schema, (
        "columns or types differ from those of training rows"
    )
    fresh = new_rows(pool, features_of(pool, covers))
    assert len(fresh) == n, "a cover is a training row, or another cover, to the model"
    assert steps, "it tells of no progress"
    again = marker.covers(pool, n, Draw(b"1" * 32), ctx, lambda: None)
    assert covers.equals(again), "the same key, rows and settings give other covers"
    other = marker.covers(pool, n, Draw(b"2" * 32), ctx, lambda: None)
    assert not covers.equals(other), "another key gives the same covers"
    return covers
