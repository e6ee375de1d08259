"""Interactions: which pairs of columns do together what neither does alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field

from bessemer.core.spec import Spec
from bessemer.explain.ask import strongest_columns
from bessemer.explain.curves import some_rows, with_values
from bessemer.explain.explanation import Baseline, Error, Explanation, Kind
from bessemer.explain.joint import Joint, joints
from bessemer.stats.bootstrap import resample

if TYPE_CHECKING:
    from bessemer.core.stage import Context
    from bessemer.explain.sample import Sample
    from bessemer.explain.subject import Subject

#: How often the rows are drawn anew for the intervals.
REPLICATES = 100

#: An interaction that moves the score by less than this share of the score's own spread is not worth a word.
SMALL = 0.01


class Interactions:
    """Friedman's H of each pair of the strongest columns.

    `value` is the share of the pair's joint effect that is not the sum of their single effects, as a root: 0 where
    the model adds the two, 1 where there is nothing but the interaction. `low` and `high` are the 95% bootstrap
    interval over the rows. H is a share, so that it is large for pairs that hardly matter too; pairs whose
    interaction moves the score by less than a hundredth of its spread are therefore left out. With several classes
    the squares are added over them.

    Source: Friedman and Popescu, "Predictive learning via rule ensembles", Annals of Applied Statistics 2 (2008),
    equation 44; on its traps: Inglis, Parnell and Hurley, JCGS 31 (2022).
    """

    kind: ClassVar[Kind] = "interactions"

    class Settings(Spec):
        """Of which columns, and how thorough."""

        columns: list[str] = Field(
            [], description="Raw columns, by name; where none is named those that move the score most."
        )
        most: int = Field(8, ge=2, le=40, description="How many columns, where none is named.")
        rows: int = Field(
            60, ge=10, le=400, description="How many rows, drawn at random; each pair takes their square."
        )

        @property
        def named(self) -> list[str]:
            """The columns that must be there."""
            return list(self.columns)

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def refuses(self, subject: Subject) -> str:
        return "a single column has nothing to interact with" if len(subject.columns) < 2 else ""

    def explain(
        self, subject: Subject, sample: Sample, ctx: Context, advance: Callable[[], None]
    ) -> Explanation:
        columns = with_values(self.settings.columns, subject, sample, ctx) or strongest_columns(
            subject, sample, ctx, self.settings.most, "interactions"
        )
        rows = some_rows(sample, self.settings.rows, ctx, "interactions")
        rng = ctx.rng("interactions", "bootstrap")
        weights = np.array([np.ones(len(rows)), *(resample(len(rows), rng) for _ in range(REPLICATES))])
        found = list(joints(columns, rows, weights, subject, sample, advance))
        pairs = ranked(found, float(sample.score.std(axis=0).max(initial=0.0)))
        if left := len(found) - len(pairs):
            ctx.note(
                f"interactions: {left} of {len(found)} pairs hardly move the score together and are left out"
            )
        return Explanation(
            self.kind,
            Baseline("a model that adds what the two columns do alone"),
            Error(
                "95% interval",
                max((pair["high"] - pair["low"] for pair in pairs), default=0.0) / 2,
                f"half the widest bootstrap interval over {len(rows)} rows",
            ),
            {"pairs": pairs, "unit": "H"},
        )


def ranked(found: list[Joint], spread: float) -> list[dict[str, Any]]:
    """The pairs that matter, strongest first. spread: the standard deviation of the score."""
    pairs: list[dict[str, Any]] = []
    for one in found:
        if one.h[0] == 0.0 or one.size[0] >= SMALL * spread:
            low, high = np.quantile(one.h[1:], [0.025, 0.975]).tolist()
            pairs.append({"columns": list(one.columns), "value": float(one.h[0]), "low": low, "high": high})
    return sorted(pairs, key=lambda pair: (-pair["value"], pair["columns"]))
