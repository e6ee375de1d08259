"""The groups of rows that a package has figures of, and the same figures of a window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bessemer.core.errors import UsageError, did_you_mean
from bessemer.core.grouping import Grouping
from bessemer.monitor.reference import Reference
from bessemer.monitor.watching.drawn import Drawn
from bessemer.monitor.watching.watched import Watched
from bessemer.stats.arrays import Floats, Ints
from bessemer.stats.shift import Sums

#: What a package that was made before it had figures by group is answered with.
TOO_OLD = "the package has no figures by group: make it again"


@dataclass(frozen=True)
class Groups:
    """The groups of one column on the test rows. facts: as `profile.groups.by_group` gives them."""

    column: str
    grouping: Grouping
    facts: Mapping[str, Any]

    @property
    def names(self) -> list[str]:
        return self.grouping.names

    def codes(self, drawn: Drawn) -> Ints:
        return self.grouping.codes(drawn.inputs.column(self.column))

    def sums(self, name: str) -> Sums:
        """Rows, sum and sum of squares of `loss`, `expected`, `error` or `predicted`, by group."""
        rows, total, squares = (
            np.asarray(self.facts[key], dtype=np.float64) for key in ("rows", name, f"{name}_squares")
        )
        return Sums(rows, total, squares)

    @property
    def confusion(self) -> Floats | None:
        """Rows by group, truth and prediction, (groups, classes, classes); None of a regression or many classes."""
        found = self.facts.get("confusion")
        return None if found is None else np.asarray(found, dtype=np.float64)


def check_groups(reference: Reference, asked: Sequence[str], where: str) -> None:
    """
    Raises:
        UsageError: a column is asked for that the package has no groups of; `where` says in which setting.
    """
    known = reference.facts.get("groups")
    for name in asked:
        if known is not None and name not in known:
            raise UsageError(
                f"monitor: watchers: {where}: the package has no groups of '{name}'",
                fix=did_you_mean(name, known),
            )


def groups_of(
    watched: Watched, asked: Sequence[str], usual: Sequence[str], where: str
) -> list[Groups] | None:
    """The groups of the columns that are asked for, else of the usual ones; only those that are logged as they are.

    None where the package has no figures by group.

    Raises:
        UsageError: a column is asked for that the package has no groups of; `where` says in which setting.
    """
    known = watched.reference.facts.get("groups")
    if known is None:
        return None
    check_groups(watched.reference, asked, where)
    names = asked or [name for name in usual if name in known]
    return [
        Groups(name, Grouping.from_json(known[name]["grouping"]), known[name])
        for name in names
        if name in watched.window.inputs
    ]
