"""Whether groups of people are treated more differently, or less, than when the model was judged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field

from bessemer.core.spec import Spec
from bessemer.monitor.finding import Kind, Test
from bessemer.monitor.reference import Reference
from bessemer.monitor.watching.drawn import Drawn, draw_both
from bessemer.monitor.watching.groups import TOO_OLD, Groups, check_groups, groups_of
from bessemer.monitor.watching.watched import Said, Watched
from bessemer.profile.groups import confusion
from bessemer.stats.arrays import Floats
from bessemer.stats.shift import Sums, gap_moved, gaps

if TYPE_CHECKING:
    from bessemer.package.model import Model

#: The criterion that each figure is compared for, as `evaluate: fairness` names it.
_CRITERIA = {
    "selection_rate": "demographic_parity",
    "tpr": "equal_opportunity",
    "fpr": "equalised_odds",
    "precision": "predictive_parity",
    "accuracy": "accuracy_equality",
    "mean_prediction": "mean_prediction",
    "mean_error": "mean_error",
    "mae": "mae",
}

#: The figures that are means of noughts and ones.
_SHARES = frozenset({"selection_rate", "tpr", "fpr", "precision", "accuracy"})


class FairnessSettings(Spec):
    """Which groups are compared."""

    groups: list[str] = Field(
        default_factory=list, description="Inputs whose groups are compared; those of `evaluate: fairness`."
    )


class Fairness:
    """The distance of each group to all others, by each criterion, against that distance on the test rows.

    Shares that get the favourable outcome need no labels; the other criteria are of labelled rows. Two-sided: a gap
    that closes is a change too. One test a column and criterion, of the group that has moved most.
    """

    kind: ClassVar[Kind] = "performance"
    again: ClassVar[bool] = True
    Settings: ClassVar[type[Spec]] = FairnessSettings

    def __init__(self, settings: FairnessSettings) -> None:
        self._groups = settings.groups

    def check(self, model: Model, reference: Reference) -> None:
        """Raises UsageError: a setting names a column that the package has no groups of."""
        check_groups(reference, self._groups, "fairness: groups")

    def watch(self, watched: Watched) -> Said:
        """Raises UsageError: a setting names a column that the package has no groups of."""
        judged = watched.model.evaluation.get("fairness") or {}
        groups = groups_of(watched, self._groups, list(judged.get("groups") or {}), "fairness: groups")
        if groups is None:
            return Said((), {"why": TOO_OLD})
        if not groups:
            return Said((), {"why": "no groups are asked for, or none is logged as it is"})
        favourable = _favourable(watched, judged.get("favourable"))
        if favourable is None and watched.model.task != "regression":
            return Said((), {"why": "no class is favourable: name it in `evaluate: fairness`"})
        names, signature = [each.column for each in groups], watched.model.signature
        drawn, labelled = draw_both(watched.window, signature, names)
        tests: list[Test] = []
        figures: dict[str, Any] = {}
        for each in groups:
            before, now = _before(each, favourable), _now(each, drawn, labelled, favourable)
            figures[each.column] = {
                name: _figures(each, before[name], now[name]) for name in now if name in before
            }
            tests += _tests(each, before, now)
        return Said(tuple(tests), figures)


def _favourable(watched: Watched, said: Any) -> int | None:
    """The index of the favourable class; of two classes the positive one where nothing is said."""
    classes = [str(name).lower() for name in watched.model.classes]
    if said is not None and str(said).lower() in classes:
        return classes.index(str(said).lower())
    return 1 if watched.model.task == "binary" else None


def _before(groups: Groups, favourable: int | None) -> dict[str, Sums]:
    if favourable is None:
        loss, error, predicted = (groups.sums(name) for name in ("loss", "error", "predicted"))
        return {"mean_prediction": predicted, "mean_error": error, "mae": loss}
    cells = groups.confusion
    return {} if cells is None else _rates(cells, favourable)


def _now(groups: Groups, drawn: Drawn, labelled: Drawn, favourable: int | None) -> dict[str, Sums]:
    size = groups.grouping.size + 2
    codes, known = groups.codes(drawn), groups.codes(labelled)
    if favourable is None:
        error = np.asarray(labelled.outcome.predicted - labelled.outcome.truth, dtype=np.float64)
        return {
            "mean_prediction": Sums.of(drawn.outcome.predicted, codes, size),
            "mean_error": Sums.of(error, known, size),
            "mae": Sums.of(np.abs(error), known, size),
        }
    rates = _rates(confusion(labelled.outcome, known, size).astype(np.float64), favourable)
    return {**rates, "selection_rate": Sums.of(drawn.outcome.predicted == favourable, codes, size)}


def _rates(cells: Floats, favourable: int) -> dict[str, Sums]:
    """Shares by group, of (groups, classes, classes) rows by truth and prediction."""
    rows = cells.sum(axis=(1, 2))
    deserving, selected = cells[:, favourable].sum(axis=1), cells[:, :, favourable].sum(axis=1)
    right = cells[:, favourable, favourable]

    def share(of: Floats, events: Floats) -> Sums:
        return Sums(of, events, events)

    return {
        "selection_rate": share(rows, selected),
        "tpr": share(deserving, right),
        "fpr": share(rows - deserving, selected - right),
        "precision": share(selected, right),
        "accuracy": share(rows, np.trace(cells, axis1=1, axis2=2)),
    }


def _tests(groups: Groups, before: Mapping[str, Sums], now: Mapping[str, Sums]) -> Iterator[Test]:
    for name, criterion in _CRITERIA.items():
        if name not in before or name not in now:
            continue
        found = gap_moved(before[name], now[name], 1.0 if name in _SHARES else None)
        tested = int(np.isfinite(found).sum())
        if not tested:
            continue
        if tested == 2:  # of two groups one gap is the other's negative
            tested = 1
        worst = int(np.nanargmin(found))
        then, here = float(gaps(before[name])[worst]), float(gaps(now[name])[worst])
        yield Test(
            *(criterion, groups.column, "performance", f"change of the gap in {name}", here - then),
            f"{name} of '{groups.names[worst]}' less that of the others is {here:+.4g}, {then:+.4g} when the model "
            "was made",
            min(1.0, float(found[worst]) * tested),
        )


def _figures(groups: Groups, before: Sums, now: Sums) -> list[dict[str, Any]]:
    return [
        {"value": value, "rows": int(rows), "figure": float(mean), "gap": float(gap), "before": float(then)}
        for value, rows, mean, gap, then in zip(
            groups.names, now.rows, now.mean, gaps(now), gaps(before), strict=True
        )
        if rows
    ]
