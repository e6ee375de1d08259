"""Importance as the mean absolute contribution: how far a column moves the score of a row, on average."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from bessemer.core.spec import Spec
from bessemer.explain.explanation import Baseline, Explanation, Kind
from bessemer.explain.quality import mean_interval

if TYPE_CHECKING:
    from bessemer.core.stage import Context
    from bessemer.explain.sample import Sample
    from bessemer.explain.subject import Subject


class MeanContributions:
    """The mean over rows of |contribution|, in units of the score; in multiclass summed over the classes.

    `low` and `high` are the 95% t interval of that mean over the rows.

    Source: Lundberg et al., "From local explanations to global understanding with explainable AI for
    trees", Nature Machine Intelligence 2 (2020).
    """

    kind: ClassVar[Kind] = "importance"

    class Settings(Spec):
        """It has none."""

    def __init__(self, settings: Settings) -> None:
        pass

    def refuses(self, subject: Subject) -> str:
        return ""

    def explain(
        self, subject: Subject, sample: Sample, ctx: Context, advance: Callable[[], None]
    ) -> Explanation:
        strength = np.abs(sample.contributions).mean(axis=0)  # (G, K)
        rows: list[dict[str, Any]] = []
        for i, group in enumerate(subject.groups):
            row: dict[str, Any] = {"group": group, "value": float(strength[i].sum())}
            if len(sample) > 1:
                low, high = mean_interval(np.abs(sample.contributions[:, i]).sum(axis=1))
                row |= {"low": row["value"] - (high - low) / 2, "high": row["value"] + (high - low) / 2}
            rows.append(row | ({"by_class": strength[i].tolist()} if strength.shape[1] > 1 else {}))
            advance()
        return Explanation(
            self.kind,
            Baseline(subject.method[1], tuple(sample.base.tolist())),
            sample.error,
            {"rows": sorted(rows, key=lambda row: (-row["value"], row["group"])), "unit": "score"},
        )
