"""Windows of event time over a landed stream: aggregates of those that are closed, as of the offsets that landed.

What counts depends on partitions and offsets alone, never on when or in which batches messages came:

- The watermark of a message is the latest event time at smaller offsets of its partition, less `late`.
- A message whose event time is before its watermark is late; it counts in no window. So does one without a time.
- A partition's watermark is that behind its last message. A window is closed, and comes out, when its end is not behind
  the least watermark of the partitions that have messages.

So a window holds the same rows whenever it is computed from the same offsets: what a replay or a backfill gives is what
was given at the time. (A partition whose very first message comes later joins then; see docs/kafka.md.)
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bessemer.core.errors import DataError
from bessemer.core.parquet import write_parquet
from bessemer.core.sql import literal, quote

if TYPE_CHECKING:
    from bessemer.acquire.streams.windows_spec import WindowsSpec

_EVENTS = """
SELECT *, epoch_us(_bessemer_time) - coalesce(max(epoch_us(_bessemer_time)) OVER (
    PARTITION BY _partition ORDER BY _offset ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
), epoch_us(_bessemer_time)) AS _bessemer_behind
FROM (SELECT *, CAST({time} AS TIMESTAMPTZ) AS _bessemer_time FROM read_parquet({landed}))
"""
_STATE = """
SELECT count(*), count(*) FILTER (_bessemer_time IS NULL), count(*) FILTER (_bessemer_behind < -{late}),
    (SELECT min(latest) - {late} FROM (
        SELECT max(epoch_us(_bessemer_time)) AS latest FROM read_parquet({events})
        GROUP BY _partition HAVING latest IS NOT NULL
    ))
FROM read_parquet({events})
"""
_WINDOWS = """
SELECT {by} make_timestamp(_bessemer_start) AS window_start, make_timestamp(_bessemer_start + {size}) AS window_end,
    {columns}
FROM (
    SELECT * EXCLUDE (_bessemer_back), _bessemer_floor - _bessemer_back * {every} AS _bessemer_start
    FROM (
        SELECT *, epoch_us(_bessemer_time) - ((epoch_us(_bessemer_time) % {every}) + {every}) % {every}
                AS _bessemer_floor,
            unnest(range({steps})) AS _bessemer_back
        FROM read_parquet({events}) WHERE _bessemer_behind >= -{late}
    )
    WHERE epoch_us(_bessemer_time) < _bessemer_floor - _bessemer_back * {every} + {size}
)
WHERE _bessemer_start + {size} <= {watermark}
GROUP BY {by} _bessemer_start
ORDER BY _bessemer_start {order}
"""


@dataclass(frozen=True)
class Snapshot:
    """Closed windows in a file, in the order of their time; and what is said of those that are not in it."""

    path: Path
    told: tuple[str, ...]


def snapshot(connection: Any, landed: Path, spec: WindowsSpec, folder: Path) -> Snapshot:
    """The windows that are closed.

    Args:
        connection: of DuckDB, with one thread, so that sums are the same in every run.
        landed: the rows, in the order of `_partition` and `_offset`.

    Raises:
        DataError: `time` is no time, an aggregate does not go with the columns, or no window is closed yet.
    """
    import duckdb

    events, windows = folder / "events.parquet", folder / "windows.parquet"
    every, size, late = spec.microseconds
    try:
        write_parquet(connection, _EVENTS.format(time=quote(spec.time), landed=literal(landed)), events)
        counted = connection.execute(_STATE.format(late=late, events=literal(events))).fetchone()
        rows, without, behind, watermark = counted
        if watermark is None:
            raise DataError(f"no message has a time in '{spec.time}'", fix="check `windows.time`")
        by = "".join(f"{quote(name)}, " for name in spec.by)
        query = _WINDOWS.format(
            by=by, order="".join(f", {quote(name)}" for name in spec.by), every=every, size=size, late=late,
            steps=-(-size // every), watermark=watermark, events=literal(events),
            columns=", ".join(f"{text} AS {quote(name)}" for name, text in spec.columns.items()),
        )  # fmt: skip
        closed = write_parquet(connection, query, windows)
    except duckdb.Error as error:
        why = str(error).splitlines()[0]
        raise DataError(
            "the windows cannot be computed", why=why, fix="check `windows.time` and `windows.columns`"
        ) from error
    finally:
        events.unlink(missing_ok=True)
    if not closed:
        raise DataError(
            "no window is closed yet",
            why=f"{rows:,} messages are there, and none is so late that a window's end is {spec.late:g} s before it",
            fix="land more messages, or a shorter `windows.every` or `windows.late`",
        )
    told = [f"{closed:,} windows are closed"]
    told += [f"{behind:,} late messages are in no window"] if behind else []
    told += [f"{without:,} messages have no time and are in no window"] if without else []
    return Snapshot(windows, tuple(told))
