"""Background rows where the training rows are not at hand: from a package's profile, or rows that are given."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.explain.sample import Rows, pick

if TYPE_CHECKING:
    import pyarrow as pa

    from bessemer.explain.sample import Floats
    from bessemer.explain.subject import Subject


@dataclass(frozen=True)
class GivenRows:
    """Rows somebody gave to compare with. table: typed (see `from_package.typed`); actual: (N,), NaN is not known."""

    subject: Subject
    table: pa.Table
    actual: Floats
    text: str = "background rows that were given"

    def __len__(self) -> int:
        return len(self.actual)

    def draw(self, most: int, rng: np.random.Generator) -> Rows:
        import pyarrow as pa

        chosen = pick(len(self), most, rng)
        table = self.table.take(pa.array(chosen))
        return Rows(table, features_of(self.subject, table), self.actual[chosen])


@dataclass(frozen=True)
class ProfileRows:
    """Rows whose columns are drawn one by one from the sketches of a package's `reference.json`.

    Each column has the values and the frequencies of the training rows (of numbers, the upper edges of their bins:
    values that occur); what columns have in common is lost, and the text says so. Targets are not known.
    """

    subject: Subject
    reference: Mapping[str, Any]
    schema: pa.Schema
    text: str = "rows drawn column by column from the package's profile of the training rows"

    def __len__(self) -> int:
        return int(self.reference["rows"])

    def draw(self, most: int, rng: np.random.Generator) -> Rows:
        import pyarrow as pa

        count = min(most, len(self))
        columns = [
            pa.array(drawn_values(self.reference["columns"].get(field.name, {}), count, rng), type=field.type)
            for field in self.schema
        ]
        table = pa.table(columns, schema=self.schema)
        return Rows(table, features_of(self.subject, table), np.full(count, np.nan))


def features_of(subject: Subject, table: pa.Table) -> np.ndarray:
    """What the learner sees of raw rows, float32 (N, F)."""
    found = subject.session.run(table, ["features"])["features"]
    return np.ascontiguousarray(found, dtype=np.float32)


def drawn_values(sketch: Mapping[str, Any], count: int, rng: np.random.Generator) -> list[Any]:
    """Values with the frequencies of a column's sketch, None for missing ones and where nothing is known.

    >>> drawn_values({"categories": [["x", 3]], "missing": 0}, 2, np.random.default_rng(0))
    ['x', 'x']
    """
    if "categories" in sketch:
        values, rows = [value for value, _ in sketch["categories"]], [n for _, n in sketch["categories"]]
    else:
        values, rows = list(sketch.get("edges", []))[1:], list(sketch.get("counts", []))
        if not rows and sketch.get("edges"):  # a single value has one edge and no bin
            values, rows = list(sketch["edges"])[:1], [1]
    values, rows = [*values, None], [*rows, sketch.get("missing", 0)]
    total = sum(rows)
    if not total:
        return [None] * count
    places = rng.choice(len(values), count, p=np.array(rows, dtype=np.float64) / total)
    return [
        _moment(values[p]) if sketch.get("dtype") == "timestamp" else _whole(values[p], sketch)
        for p in places
    ]


def _moment(value: Any) -> Any:
    return dt.datetime.fromisoformat(value) if isinstance(value, str) else value


def _whole(value: Any, sketch: Mapping[str, Any]) -> Any:
    return round(value) if sketch.get("dtype") == "integer" and value is not None else value
