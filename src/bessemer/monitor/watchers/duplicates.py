"""The same rows asked again, and predictions whose ids are not their own."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import Any, ClassVar

from pydantic import Field

from bessemer.core.spec import Share, Spec
from bessemer.core.sql import quote
from bessemer.monitor.finding import Kind, Test
from bessemer.monitor.tables import opened
from bessemer.monitor.watching.watched import Said, Watched
from bessemer.stats.level import Level, expected_within, surprise
from bessemer.stats.repeats import repeated_share

#: So many windows make the usual share known.
_KNOWN = 10
#: Shares of fewer rows are not compared.
_FEWEST = 16


class DuplicatesSettings(Spec):
    """What of repetition is told."""

    change: Share = Field(
        0.01, description="A rise of the share of repeated rows up to this, as 1% of all rows, is none."
    )
    ids: bool = Field(True, description="Whether predictions that share an id are told.")


class Duplicates:
    """Of the rows of a window, those whose inputs are all the same as another's before, against the usual share.

    The more rows, the more of them repeat: shares are those of as many rows, the greatest power of two that is known.

    Inputs that are hashed count as well: equal values stay equal.
    """

    kind: ClassVar[Kind] = "quality"
    again: ClassVar[bool] = False
    Settings: ClassVar[type[Spec]] = DuplicatesSettings

    def __init__(self, settings: DuplicatesSettings) -> None:
        self._settings = settings

    def watch(self, watched: Watched) -> Said:
        rows = watched.window.rows
        repeats = _repeats(watched)
        levels = {int(size): Level(*level) for size, level in watched.memory.get("shares", {}).items()}
        shares = {size: repeated_share(*repeats, size) for size in _sizes(rows)}
        known = [size for size in shares if size in levels and levels[size].weight >= _KNOWN * 0.9]
        of = max(known, default=None)
        ids, client = _shared_ids(watched) if self._settings.ids else (0, "")
        figures = {
            "share": repeated_share(*repeats, rows),
            "usual": None if of is None else levels[of].mean,
            "of": of,
            "ids": ids,
        }
        tests = [] if of is None else [self._share(shares[of], of, levels[of])]
        tests += _ids(ids, rows, client)
        kept = levels | {size: levels.get(size, Level()).add(share) for size, share in shares.items()}
        memory = {str(size): [float(f"{x:.8g}") for x in level.to_json()] for size, level in kept.items()}
        return Said(tuple(tests), figures, {"shares": memory})

    def _share(self, share: float, rows: int, level: Level) -> Test:
        pooled = (level.mean * level.weight * rows + 1) / (level.weight * rows + 2)
        variance = max(
            level.variance, pooled * (1 - pooled) / rows
        )  # no less than of so many independent rows
        known, freedom, least = level.weight, level.weight - 1, self._settings.change
        p = surprise(share, level.mean, variance, known, freedom, least=least, one_sided=True)
        return Test(
            *("duplicates", "rows", self.kind, "rise of the share", share - level.mean),
            f"of {rows:,} rows of the window {share:.1%} were asked before in it, {level.mean:.1%} usually",
            p,
            partial(_critical, variance, known, freedom, least),
            "service",
        )


def _sizes(rows: int) -> list[int]:
    """The powers of two, from `_FEWEST` on, that so many rows reach: shares are compared at these."""
    return [2**k for k in range(_FEWEST.bit_length() - 1, rows.bit_length())]


def _ids(repeated: int, rows: int, client: str) -> Iterator[Test]:
    if repeated:
        told = f"{repeated:,} of {rows:,} predictions have an id that one of other inputs has: a label would be of both"
        told += f"; most are of the client '{client}'" if client else ""
        yield Test("duplicates", "prediction_id", "quality", "repeated ids", repeated, told, of="service")


def _critical(variance: float, known: float, freedom: float, least: float, probability: float) -> float:
    within = expected_within(variance, known, freedom, min(1.0, 2 * probability), least)
    return within if math.isfinite(within) else 1.0


def _key(connection: Any, relation: str) -> str | None:
    """All inputs that are logged, as one number; None where none is."""
    there = [row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()]
    inputs = [quote(name) for name in there if name.startswith("in.")]
    return f"hash({', '.join(inputs)})" if inputs else None


def _repeats(watched: Watched) -> tuple[list[int], list[int]]:
    """How often the same inputs are asked, and how many inputs are asked so often. DuckDB spills to disk."""
    with opened(watched.window.path) as (connection, relation):
        key = _key(connection, relation)
        if key is None:
            return [1], [watched.window.rows]
        each = f"SELECT count(*) AS n FROM {relation} GROUP BY {key}"
        found = connection.execute(f"SELECT n, count(*) FROM ({each}) GROUP BY n").fetchall()
    return [row[0] for row in found], [row[1] for row in found]


def _shared_ids(watched: Watched) -> tuple[int, str]:
    """Rows whose id stands in another row already, with other inputs, and whose they most often are.

    A request that is sent again as it was has the same label.
    """
    with opened(watched.window.path) as (connection, relation):
        key = _key(connection, relation) or "uuid()"
        each = f"SELECT DISTINCT prediction_id AS id, client, {key} AS key FROM {relation}"
        twice = f"SELECT id, count(DISTINCT key) - 1 AS more FROM ({each}) GROUP BY id HAVING more > 0"
        (count,) = connection.execute(f"SELECT coalesce(sum(more), 0) FROM ({twice})").fetchone()
        top = connection.execute(
            f"SELECT client FROM ({each}) JOIN ({twice}) USING (id) WHERE client <> '' "
            "GROUP BY client ORDER BY count(*) DESC, client LIMIT 1"
        ).fetchone()
    return int(count), top[0] if top else ""
