"""What is normal, read from a package: the sketches of its columns, and how many rows they were made of."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.core.errors import FormatError
from bessemer.core.signature import DType
from bessemer.package.kept_rows import read_kept
from bessemer.stats.arrays import Floats
from bessemer.stats.error_bins import ErrorBins
from bessemer.stats.unlabelled import Residuals

if TYPE_CHECKING:
    from bessemer.package.model import Model

#: The format of `reference.json` that this version reads.
FORMAT = 1

_EPOCH = dt.datetime(1970, 1, 1)


@dataclass(frozen=True)
class Sketch:
    """The counts of one column in bins (numbers, times) or by value (texts, booleans).

    Bins: bin i holds edges[i] < x <= edges[i + 1], the outer ones are open. Values: one count each, then one of all
    others. Times are microseconds since 1970.
    """

    dtype: DType
    counts: Floats
    missing: int
    edges: Floats | None = None
    values: tuple[Any, ...] = ()
    mean: float = np.nan
    std: float = np.nan

    @property
    def count(self) -> int:
        """Rows that have a value."""
        return int(self.counts.sum())

    @property
    def rows(self) -> int:
        return self.count + self.missing

    @property
    def is_numeric(self) -> bool:
        return self.edges is not None


@dataclass(frozen=True)
class Pairs:
    """columns: k names. correlation, rows, spread (see `stats.association.excess_spread`): (k, k)."""

    columns: tuple[str, ...]
    correlation: Floats
    rows: Floats
    spread: Floats


@dataclass(frozen=True)
class Reference:
    """What a package says is normal.

    facts: `reference.json`. kept: coded training rows, where the package has some (see `package/kept_rows.py`).
    false_alarm: what the project file asked for, the share of windows without a change in which anything alarms.
    """

    facts: Mapping[str, Any]
    kept: Floats | None = None

    @cached_property
    def columns(self) -> dict[str, Sketch]:
        return {name: sketch(facts) for name, facts in self.facts["columns"].items()}

    @cached_property
    def groups(self) -> dict[str, list[Any]]:
        """How the bins or values of a column stand together where few groups say more than many bins."""
        return {name: limit["groups"] for name, limit in self.facts["thresholds"].items()}

    @cached_property
    def outputs(self) -> Reference:
        """The same of the model's outputs, on the test rows."""
        named = {"columns": "outputs", "thresholds": "output_thresholds", "rows": "output_rows"}
        return Reference({**self.facts, **{key: self.facts[own] for key, own in named.items()}})

    def of(self, names: Collection[str]) -> Reference:
        """The same of some of the columns."""
        kept = {name: facts for name, facts in self.facts["columns"].items() if name in names}
        return Reference({**self.facts, "columns": kept}, self.kept)

    @cached_property
    def pairs(self) -> Pairs:
        """How the columns of numbers go together."""
        found = self.facts.get("joint") or {"columns": [], "correlation": [], "rows": [], "spread": []}
        size = (len(found["columns"]),) * 2
        correlation = [[np.nan if r is None else r for r in row] for row in found["correlation"]]
        return Pairs(
            tuple(found["columns"]),
            np.asarray(correlation, dtype=np.float64).reshape(size),
            np.asarray(found["rows"], dtype=np.float64).reshape(size),
            np.asarray(found["spread"], dtype=np.float64).reshape(size),
        )

    @cached_property
    def residuals(self) -> Residuals | None:
        """The errors of a regression on the test rows; None for classifiers."""
        found = self.facts.get("residuals")
        if found is None:
            return None
        return Residuals(**{name: np.asarray(values, dtype=np.float64) for name, values in found.items()})

    @cached_property
    def errors(self) -> ErrorBins | None:
        """How many test rows were wrong; None in packages that were made before this was kept."""
        found = self.facts.get("errors")
        if found is None:
            return None
        return ErrorBins(**{name: np.asarray(values, dtype=np.float64) for name, values in found.items()})

    @property
    def false_alarm(self) -> float:
        return float(self.facts["false_alarm"])


def reference_of(model: Model) -> Reference:
    """The reference in a package.

    Raises:
        FormatError: it has none, or one of another format.
    """
    facts = model.reference
    if not facts:
        raise FormatError(
            f"the package '{model.name} {model.version}' has no reference.json, so there is nothing to compare with",
            fix="make it with the `profile` stage: `bessemer run`",
        )
    if facts.get("format") != FORMAT:
        raise FormatError(
            f"reference.json has format {facts.get('format')}; this version reads {FORMAT}",
            fix="install the version of Bessemer that made the package, or make the package again",
        )
    return Reference(facts, read_kept(model.contents, len(facts.get("row") or ())))


def sketch(facts: Mapping[str, Any]) -> Sketch:
    """A sketch as `reference.json` has it.

    >>> sketch({"dtype": "string", "categories": [["a", 3]], "other": 1, "missing": 2, "count": 4}).counts.tolist()
    [3.0, 1.0]
    """
    dtype, missing = facts["dtype"], int(facts["missing"])
    if "categories" in facts:
        counts = np.array([*(n for _, n in facts["categories"]), facts["other"]], dtype=np.float64)
        return Sketch(dtype, counts, missing, values=tuple(value for value, _ in facts["categories"]))
    edges = [_microseconds(edge) if dtype == "timestamp" else edge for edge in facts["edges"]]
    mean, std = facts["mean"], facts["std"]
    if dtype == "timestamp" and mean is not None:
        mean, std = _microseconds(mean), std * 1e6
    return Sketch(
        dtype,
        np.asarray(facts["counts"], dtype=np.float64),
        missing,
        edges=np.asarray(edges, dtype=np.float64),
        mean=np.nan if mean is None else float(mean),
        std=np.nan if std is None else float(std),
    )


def _microseconds(text: str) -> float:
    return float((dt.datetime.fromisoformat(text) - _EPOCH) / dt.timedelta(microseconds=1))
