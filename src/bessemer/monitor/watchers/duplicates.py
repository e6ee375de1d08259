"""The same rows asked again, and predictions whose ids are not their own."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import ClassVar

from pydantic import Field

from bessemer.core.spec import Share, Spec
from bessemer.core.sql import quote
from bessemer.monitor.finding import Kind, Test
from bessemer.monitor.tables import opened
from bessemer.monitor.watched import Said, Watched
from bessemer.stats.level import Level, expected_within, surprise

#: So many windows make the usual share known.
_KNOWN = 10


class DuplicatesSettings(Spec):
    """What of repetition is told."""

    change: Share = Field(
        0.01, description="A rise of the share of repeated rows up to this, as 1% of all rows, is none."
    )
    ids: bool = Field(True, description="Whether predictions that share an id are told.")


class Duplicates:
    """Of the rows of a window, those whose inputs are all the same as another's before, against the usual share.

    Inputs that are hashed count as well: equal values stay equal.
    """

    kind: ClassVar[Kind] = "quality"
    again: ClassVar[bool] = False
    Settings: ClassVar[type[Spec]] = DuplicatesSettings

    def __init__(self, settings: DuplicatesSettings) -> None:
        self._settings = settings

    def watch(self, watched: Watched) -> Said:
        rows = watched.window.rows
        repeated, ids = _counted(watched)
        share = repeated / rows
        level = Level(*watched.memory.get("share", ()))
        figures = {"share": share, "usual": level.mean if level.weight else None, "ids": ids}
        tests = [*self._shares(share, rows, level), *self._ids(ids, rows)]
        return Said(tuple(tests), figures, {"share": level.add(share).to_json()})

    def _shares(self, share: float, rows: int, level: Level) -> Iterator[Test]:
        if level.weight < _KNOWN * 0.9:
            return
        pooled = (level.mean * level.weight * rows + 1) / (level.weight * rows + 2)
        variance = max(
            level.variance, pooled * (1 - pooled) / rows
        )  # no less than of so many independent rows
        known, freedom, least = level.weight, level.weight - 1, self._settings.change
        p = surprise(share, level.mean, variance, known, freedom, least=least, one_sided=True)
        yield Test(
            *("duplicates", "rows", self.kind, "rise of the share", share - level.mean),
            f"{share:.1%} of the rows were asked before in the window, {level.mean:.1%} usually",
            p,
            partial(_critical, variance, known, freedom, least),
            "service",
        )

    def _ids(self, repeated: int, rows: int) -> Iterator[Test]:
        if repeated and self._settings.ids:
            told = (
                f"{repeated:,} of {rows:,} predictions have an id that another has: a label would be of both"
            )
            yield Test("duplicates", "prediction_id", self.kind, "repeated ids", repeated, told, of="service")


def _critical(variance: float, known: float, freedom: float, least: float, probability: float) -> float:
    within = expected_within(variance, known, freedom, min(1.0, 2 * probability), least)
    return within if math.isfinite(within) else 1.0


def _counted(watched: Watched) -> tuple[int, int]:
    """Rows whose inputs stand in another row already, and rows whose id does. DuckDB spills to disk."""
    rows = watched.window.rows
    with opened(watched.window.path) as (connection, relation):
        there = [row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()]
        inputs = [quote(name) for name in there if name.startswith("in.")]
        found = []
        for key in (f"hash({', '.join(inputs)})" if inputs else None, "prediction_id"):
            query = f"SELECT count(*) FROM (SELECT {key} FROM {relation} GROUP BY ALL)"
            found.append(rows - int(connection.execute(query).fetchone()[0]) if key else 0)
    return found[0], found[1]
