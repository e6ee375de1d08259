"""Where the model is worst: slices found on one half of the test rows and confirmed on the other.

A slice that was looked for among a hundred thousand is worse on the rows it was found on, whether it means anything
or not (Chung et al. 2019). So one half of the rows proposes a few slices, and the other half, which had no say, tests
those few with Welch's one-sided test and Holm's correction: the chance that any confirmed slice is not worse than
the rest is at most 1 - confidence, on data where nothing is wrong too.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bessemer.core.stage import Context
from bessemer.evaluate.compare_parts import Part
from bessemer.evaluate.evidence import LOSSES, WORDS, Evidence, usual_loss
from bessemer.evaluate.levels import Coded, Level, coded_columns
from bessemer.evaluate.spec import FindSlices
from bessemer.stats.arrays import Bools, Floats, Ints, shown
from bessemer.stats.lattice import Cell, slices_in, worst
from bessemer.stats.means import Excess, Moments, by_code, excess, moments, rows_needed, varied, welch
from bessemer.stats.metrics.table import Scorer
from bessemer.stats.multiple import holm

#: What bounds time and memory: rows that are looked at, and columns in the lattice (575 sets of up to three).
MAX_ROWS, MAX_COLUMNS = 200_000, 15
#: A slice needs so many rows in either half, or the spec's share where that is more.
MIN_ROWS = 30

METHOD = (
    "lattice of slices on one half of the test rows; Welch's one-sided test on the other, Holm's correction"
)


@dataclass(frozen=True)
class Weak:
    """A slice that was proposed, and its test on the other half.

    rows: bool (n,), the rows it holds. group, others: the loss of those of the confirming half, in it and not in it.
    p_adjusted: Holm's, over all slices that were tested.
    """

    levels: tuple[Level, ...]
    rows: Bools
    group: Moments
    others: Moments
    excess: Excess
    p_adjusted: float = 1.0

    @property
    def text(self) -> str:
        return " and ".join(level.text for level in self.levels)

    def part(self, places: Ints) -> Part:
        """Its rows, as places in the test part."""
        return Part(self.text, places[self.rows], frozenset(level.column for level in self.levels))

    def further_rows(self, alpha: float) -> int | None:
        """How many more test rows of the slice it takes to be sure: half of them confirm; None: it is not worse."""
        if self.p_adjusted <= alpha:
            return 0
        # as many tests again: Holm multiplies this slice's p by as much as it did here
        times = max(1.0, self.p_adjusted / self.excess.p) if self.excess.p > 0 else 1.0
        needed = rows_needed(self.group, self.others, alpha / times)
        return None if needed is None else max(1, 2 * (needed - int(self.group.rows)))


def weak_slices(evidence: Evidence) -> tuple[dict[str, Any], list[Part]]:
    """`weak_slices` of `evaluation.json`: what was searched, and what was found, the surest first; and the rows of
    those that were confirmed."""
    settings = evidence.spec.find_slices
    assert settings is not None
    rows = evidence.sample("slices", MAX_ROWS)
    outcome = evidence.outcome.take(rows)
    name = usual_loss(outcome) if settings.loss == "auto" else settings.loss
    loss = LOSSES[name](outcome)
    facts: dict[str, Any] = {"method": METHOD, "loss": name, "metric": evidence.metric}
    if why := _refusal(loss):
        return {**facts, "columns": [], "searched": 0, "left_out": {}, "why": why, "found": []}, []
    first = halves(len(rows), evidence.ctx.rng("slices", "halves"))
    asked = settings.columns or list(dict.fromkeys((*evidence.inputs, *evidence.spec.slices)))
    made = coded_columns(evidence.test, asked, rows, bins=settings.bins, values=settings.values)
    columns, passed = telling(made, loss, first, MAX_COLUMNS)
    alpha = 1 - evidence.spec.confidence
    found = search(columns, loss, first, settings, alpha)
    scorer = Scorer(outcome, [evidence.metric])
    result = {
        **facts,
        "columns": [column.column for column in columns],
        "searched": slices_in([len(column.levels) for column in columns], settings.depth),
        "left_out": {"columns": passed, "rows": evidence.outcome.rows - len(rows)},
        "discovered_on": int(first.sum()),
        "confirmed_on": int((~first).sum()),
        "alpha": alpha,
        "why": None,
        "found": [_as_json(weak, scorer, first, alpha) for weak in found],
    }
    _tell(result, evidence.ctx)
    sure = [weak for weak in found if weak.p_adjusted <= alpha]
    return result, [weak.part(rows) for weak in sure]


def _refusal(loss: Floats) -> str | None:
    if len(loss) < 4 * MIN_ROWS:
        return f"{len(loss)} test rows are too few to find slices on one half and confirm them on the other"
    if not np.isfinite(loss).all():
        return "the loss of some rows is too great for a number"
    return None if np.ptp(loss) else "the loss is the same in every row"


def halves(rows: int, rng: np.random.Generator) -> Bools:
    """Which rows are of the first half, bool (n,)."""
    return np.asarray(rng.permutation(rows) < rows // 2)


def telling(columns: Iterable[Coded], loss: Floats, first: Bools, most: int) -> tuple[list[Coded], list[str]]:
    """The `most` columns with the worst slices of one condition on the first half, and the names of the others."""
    part = loss[first] - loss[first].mean()
    whole = moments(part)
    kept: list[tuple[float, int, Coded]] = []
    passed: list[tuple[int, str]] = []
    for place, column in enumerate(columns):
        cells = by_code(column.codes[first].astype(np.int64), part, len(column.levels))
        heapq.heappush(kept, (float(np.max(welch(cells, whole.without(cells)))), -place, column))
        if len(kept) > most:
            _, negative, least = heapq.heappop(kept)
            passed.append((-negative, least.column))
    in_order = sorted(kept, key=lambda item: -item[1])
    return [column for _, _, column in in_order], [name for _, name in sorted(passed)]


def search(
    columns: Sequence[Coded], loss: Floats, first: Bools, settings: FindSlices, alpha: float
) -> list[Weak]:
    """Slices proposed by the first half of the rows and tested by the other, in the order of the proposal.

    Args:
        columns: codes of (n,) rows each.
        loss: float64 (n,), finite.
        first: bool (n,), the rows that propose.
        alpha: the chance of any false confirmation.
    """
    cells = worst(
        [column.codes[first] for column in columns],
        [len(column.levels) for column in columns],
        loss[first],
        depth=settings.depth,
        fewest=max(MIN_ROWS, math.ceil(settings.smallest * first.sum())),
        most=settings.most,
    )
    found = [_tested(cell, columns, loss, first, 1 - alpha) for cell in cells]
    adjusted = holm([weak.excess.p for weak in found]).tolist()
    return [
        replace(weak, p_adjusted=1.0 if math.isnan(p) else p) for weak, p in zip(found, adjusted, strict=True)
    ]


def _tested(cell: Cell, columns: Sequence[Coded], loss: Floats, first: Bools, confidence: float) -> Weak:
    rows = cell.mask([column.codes for column in columns])
    levels = tuple(columns[c].levels[k] for c, k in zip(cell.columns, cell.levels, strict=True))
    group, others = moments(loss[rows & ~first]), moments(loss[~rows & ~first])
    return Weak(levels, rows, group, others, excess(varied(group, others), others, confidence))


def _as_json(weak: Weak, scorer: Callable[[Floats], Floats], first: Bools, alpha: float) -> dict[str, Any]:
    inside, elsewhere = (weights.astype(np.float64) for weights in (weak.rows & ~first, ~weak.rows & ~first))
    return {
        "conditions": [level.to_json() for level in weak.levels],
        "text": weak.text,
        "rows": int(weak.rows.sum()),
        "share": float(weak.rows.mean()),
        "confirming_rows": int(weak.group.rows),
        "loss": float(weak.group.mean),
        "loss_elsewhere": float(weak.others.mean),
        "difference": weak.excess.difference,
        "low": weak.excess.low,
        "high": weak.excess.high,
        "effect": weak.excess.effect,
        "metric": float(scorer(inside)[0]) if weak.group.rows else None,
        "metric_elsewhere": float(scorer(elsewhere)[0]),
        "p": weak.excess.p,
        "p_adjusted": weak.p_adjusted,
        "confirmed": weak.p_adjusted <= alpha,
        "rows_needed": weak.further_rows(alpha),
    }


def _tell(result: Mapping[str, Any], ctx: Context) -> None:
    sure = [found for found in result["found"] if found["confirmed"]]
    if sure:
        worst_of_all = max(sure, key=lambda found: found["loss"])
        ctx.note(
            f"worst where {worst_of_all['text']} ({worst_of_all['share']:.0%} of the rows): {WORDS[result['loss']]} "
            f"{shown(worst_of_all['loss'])}, elsewhere {shown(worst_of_all['loss_elsewhere'])}"
        )
