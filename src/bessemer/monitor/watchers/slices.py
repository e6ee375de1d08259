"""Where the model has become worse: performance slice by slice, measured on labels and estimated without."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field

from bessemer.core.spec import Spec
from bessemer.monitor.finding import Kind, Test
from bessemer.monitor.reference import Reference
from bessemer.monitor.watching.drawn import Drawn, draw_both
from bessemer.monitor.watching.groups import TOO_OLD, Groups, check_groups, groups_of
from bessemer.monitor.watching.watched import Said, Watched
from bessemer.profile.groups import expected_losses, losses
from bessemer.stats.shift import Sums, risen

if TYPE_CHECKING:
    from bessemer.package.model import Model


class SlicesSettings(Spec):
    """Which slices are looked at."""

    columns: list[str] = Field(
        default_factory=list,
        description="Inputs by whose values the rows are cut; those of `evaluate: slices`, or else all.",
    )


class Slices:
    """The loss in each slice against the same slice of the test rows: one test a column, of its worst slice.

    The loss is Brier's of a classifier and the absolute error of a regression. Without labels a classifier's own
    probabilities say what loss is to be expected.
    """

    kind: ClassVar[Kind] = "performance"
    again: ClassVar[bool] = True
    Settings: ClassVar[type[Spec]] = SlicesSettings

    def __init__(self, settings: SlicesSettings) -> None:
        self._columns = settings.columns

    def check(self, model: Model, reference: Reference) -> None:
        """Raises UsageError: a setting names a column that the package has no groups of."""
        check_groups(reference, self._columns, "slices: columns")

    def watch(self, watched: Watched) -> Said:
        """Raises UsageError: a setting names a column that the package has no groups of."""
        usual = list((watched.model.evaluation.get("slices") or {}) or watched.window.inputs)
        groups = groups_of(watched, self._columns, usual, "slices: columns")
        if groups is None:
            return Said((), {"why": TOO_OLD})
        if not groups:
            return Said((), {"why": "none of the columns is logged as it is"})
        names = [each.column for each in groups]
        signature = watched.model.signature
        drawn, labelled = draw_both(watched.window, signature, names)
        tests: list[Test] = []
        figures: dict[str, Any] = {}
        for each in groups:
            measured = _measured(each, labelled)
            figures[each.column] = {"measured": _figures(each, "loss", measured)}
            tests += _tests(each, "measured_slice", "loss", measured)
        if signature.task != "regression":
            for each in groups:
                expected = Sums.of(expected_losses(drawn.outcome.probability), each.codes(drawn), _size(each))
                figures[each.column]["estimated"] = _figures(each, "expected", expected)
                tests += _tests(each, "estimated_slice", "expected", expected)
        return Said(tuple(tests), figures)


def _size(groups: Groups) -> int:
    return groups.grouping.size + 2


def _measured(groups: Groups, labelled: Drawn) -> Sums:
    return Sums.of(losses(labelled.outcome), groups.codes(labelled), _size(groups))


def _tests(groups: Groups, detector: str, name: str, now: Sums) -> Iterator[Test]:
    before = groups.sums(name)
    found = risen(before, now)
    tested = int(np.isfinite(found).sum())
    if not tested:
        return
    worst = int(np.nanargmin(found))
    then, here = float(before.mean[worst]), float(now.mean[worst])
    how = (
        "as estimated without labels"
        if detector == "estimated_slice"
        else f"on {now.rows[worst]:,.0f} labels"
    )
    yield Test(
        *(detector, groups.column, "performance", "rise of the loss in the worst slice", here - then),
        f"where {groups.column} is {groups.names[worst]}, the loss is {here:.4g}, {then:.4g} when the model was made, "
        + how,
        min(1.0, float(found[worst]) * tested),
    )


def _figures(groups: Groups, name: str, now: Sums) -> list[dict[str, Any]]:
    before = groups.sums(name)
    return [
        {"value": value, "rows": int(rows), "loss": float(mean), "before": float(then)}
        for value, rows, mean, then in zip(groups.names, now.rows, now.mean, before.mean, strict=True)
        if rows
    ]
