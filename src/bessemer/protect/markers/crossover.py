"""Covers for tables: two real rows crossed, with a logo that no real row has.

Each column's value is that of one of two real rows, so every value is one that somebody has had: types, levels, ranges
and missing values stay real. Of the ways to cross two rows one is taken in which columns stand together as they do in
the training rows (a service that needs another, a date before another), and columns that have to come from one row
together can be named. The logo are a few columns whose values the owner's key chooses so that they stand together in no
training row; it is the only thing that sets covers apart. That is what makes the mark cheap: a model learns the labels
behind the logo, and what it says of real rows is as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from bessemer.core.errors import DataError
from bessemer.core.spec import Spec
from bessemer.protect.markers.parts import parts_of

if TYPE_CHECKING:
    import pyarrow as pa

    from bessemer.core.stage import Context
    from bessemer.protect.protocol import Draw, Pool

#: Ways to cross that are tried for each cover; the first of those that break least is taken.
_WAYS = 48
#: Logos that are looked at. A part of one has between so many and so many of the rows: rarer ones are odd by
#: themselves, and commoner ones set nothing apart.
_LOGOS, _RARE, _COMMON, _FEWEST = 400, 0.02, 0.6, 20
#: Training rows that are crossed, at most, and the fewest that can be.
_ROWS, _FEWEST_ROWS = 100_000, 50
#: Covers that are made for each that is needed: some turn out to be alike.
_SPARE = 1.25
#: So many values are drawn at once: covers times ways times units.
_AT_ONCE = 2**20

#: A logo of so many columns or more is found cheapest to learn: a part of it is nothing odd by itself.
_WIDE = 4

Logo = dict[int, int]


class CrossoverSettings(Spec):
    """What the project file may say of `crossover`."""

    columns: int = Field(5, ge=2, le=10, description="most columns of the logo")
    together: list[list[str]] = Field(
        default_factory=list,
        description="groups of columns whose values always come from one and the same row",
    )


class Crossover:
    """Rows crossed from two real ones each, with a logo."""

    Settings = CrossoverSettings

    def __init__(self, settings: CrossoverSettings) -> None:
        self.settings = settings

    def refuses(self, pool: Pool) -> str:
        for name in (name for group in self.settings.together for name in group):
            if name not in pool.columns:
                return f"`together` names '{name}', which is no column that the model reads"
        if len(self._units(pool)) < 2:
            return "crossing two rows takes two columns or more that can be taken apart"
        if len(pool) < _FEWEST_ROWS:
            return f"{len(pool)} training rows are too few to cross"
        return ""

    def covers(self, pool: Pool, n: int, draw: Draw, ctx: Context, advance: Callable[[], None]) -> pa.Table:
        """`n` rows that no training row equals.

        Raises:
            DataError: the rows are too few, or too alike, to make so many others of them.
        """
        from bessemer.protect.covers import features_of, new_rows

        places = np.arange(len(pool))
        if len(pool) > _ROWS:
            places = np.sort(draw.rng("rows").choice(len(pool), _ROWS, replace=False))
        rows, units = pool.rows(places), self._units(pool)
        cross = _Cross(parts_of(rows, pool.columns), units)
        givers = cross.givers(max(n + 8, round(n * _SPARE)), self.settings.columns, draw)
        table = _mixed(rows, units, givers)
        fresh = new_rows(pool, features_of(pool, table))
        if len(fresh) < n:
            raise DataError(
                f"only {len(fresh)} of {n} key rows could be made that are no training row",
                why="the training rows are too few, or too alike, for rows between them",
                fix="set `protect: {keys: ...}` or `disputes` to less",
            )
        for _ in range(n):
            advance()
        return table.take(fresh[:n])

    def _units(self, pool: Pool) -> list[list[int]]:
        """The places of the model's columns that come from one row together."""
        left = {name: place for place, name in enumerate(pool.columns)}
        groups = [[left.pop(name) for name in group if name in left] for group in self.settings.together]
        return [group for group in groups if group] + [[place] for place in left.values()]


@dataclass(frozen=True)
class _Cross:
    """parts: (N, C), see `parts_of`. units: columns that come from one row together."""

    parts: np.ndarray
    units: list[list[int]]

    def givers(self, n: int, columns: int, draw: Draw) -> np.ndarray:
        """(n, units) int64: the row that each unit of each cover is taken from."""
        logo = self.logo(columns, draw.rng("logo"))
        rows_with, pairs = self._rows_with(logo), self._pairs(logo)
        block = max(1, _AT_ONCE // (_WAYS * len(self.units)))
        starts = range(0, n, block)
        made = [
            self._some_givers(min(block, n - start), draw.rng("covers", start), rows_with, pairs)
            for start in starts
        ]
        return np.concatenate(made)

    def _some_givers(
        self, n: int, rng: np.random.Generator, rows_with: Mapping[int, np.ndarray], pairs: Sequence[_Pair]
    ) -> np.ndarray:
        """The next n of them; of the ways to cross each, the first that breaks least."""
        rows, shape = len(self.parts), (n, _WAYS)
        first = rng.integers(rows, size=shape)
        second = (first + rng.integers(1, rows, size=shape)) % rows
        taken = rng.random((*shape, len(self.units))) < 0.5
        givers = np.where(taken, second[..., None], first[..., None])
        for unit, rows_of in rows_with.items():
            givers[..., unit] = rng.choice(rows_of, size=(n, 1))
        way = self._broken(givers.reshape(-1, len(self.units)), pairs).reshape(shape).argmin(axis=1)
        found: np.ndarray = givers[np.arange(n), way]
        return found

    def logo(self, columns: int, rng: np.random.Generator) -> Logo:
        """Column -> part, which stand together in no row, or in as few as can be found."""
        found: list[tuple[int, int, Logo]] = []
        for _ in range(_LOGOS):
            logo, rows = self._some_logo(columns, rng)
            if rows == 0 and len(logo) >= min(columns, _WIDE):
                return logo
            found.append((rows, -len(logo), logo))
        return min((one for one in found if len(one[2]) > 1), key=lambda one: one[:2], default=(0, 0, {}))[2]

    def _some_logo(self, columns: int, rng: np.random.Generator) -> tuple[Logo, int]:
        """One at random, and how many rows have it."""
        logo: Logo = {}
        inside = np.ones(len(self.parts), dtype=bool)
        for unit in rng.permutation(len(self.units)):
            column = int(rng.choice(self.units[unit]))
            usual = self._usual(column)
            if not len(usual):
                continue
            logo[column] = int(rng.choice(usual))
            inside &= self.parts[:, column] == logo[column]
            if len(logo) == columns or not inside.any():
                break
        return logo, int(inside.sum())

    def _usual(self, column: int) -> np.ndarray:
        counts = np.bincount(self.parts[:, column])
        rows = len(self.parts)
        return np.flatnonzero((counts >= max(_FEWEST, _RARE * rows)) & (counts <= _COMMON * rows))

    def _rows_with(self, logo: Logo) -> dict[int, np.ndarray]:
        """Unit -> the rows that have its part of the logo."""
        unit_of = {column: number for number, unit in enumerate(self.units) for column in unit}
        return {unit_of[c]: np.flatnonzero(self.parts[:, c] == part) for c, part in logo.items()}

    def _pairs(self, logo: Logo) -> list[_Pair]:
        """Pairs of columns of different units, those of the logo left out, and which of their parts stand together."""
        sizes = self.parts.max(axis=0).astype(np.int64) + 1
        apart = [
            (number, column)
            for number, unit in enumerate(self.units)
            for column in unit
            if sizes[column] > 1 and column not in logo
        ]
        found = []
        for (one, left), (other, right) in combinations(apart, 2):
            if one == other:
                continue
            there = np.zeros((sizes[left], sizes[right]), dtype=bool)
            there[self.parts[:, left], self.parts[:, right]] = True
            found.append(_Pair((one, other), (left, right), there))
        return found

    def _broken(self, givers: np.ndarray, pairs: Sequence[_Pair]) -> np.ndarray:
        """(n,) int64: how many pairs of columns stand together as in no row."""
        broken = np.zeros(len(givers), dtype=np.int64)
        for pair in pairs:
            left, right = (
                self.parts[givers[:, unit], column]
                for unit, column in zip(pair.units, pair.columns, strict=True)
            )
            broken += ~pair.there[left, right]
        return broken


@dataclass(frozen=True)
class _Pair:
    """Two columns, the units they are of, and (parts, parts) bool: whether a row has both parts."""

    units: tuple[int, int]
    columns: tuple[int, int]
    there: np.ndarray


def _mixed(rows: pa.Table, units: list[list[int]], givers: np.ndarray) -> pa.Table:
    """The crossed rows."""
    import pyarrow as pa

    giver = {place: givers[:, number] for number, unit in enumerate(units) for place in unit}
    columns = [rows.column(place).take(pa.array(giver[place])) for place in range(rows.num_columns)]
    return pa.table(columns, schema=rows.schema)
