"""Importance as the mean absolute contribution: how far a column moves the score of a row, on average."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from bessemer.core.spec import Spec
from bessemer.explain.explanation import Baseline, Error, Explanation, Kind

if TYPE_CHECKING:
    from bessemer.core.stage import Context
    from bessemer.explain.sample import Sample
    from bessemer.explain.subject import Subject


class MeanContributions:
    """The mean over rows of |contribution|, in units of the score; in multiclass summed over the classes.

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
        for group, by_class in zip(subject.groups, strength, strict=True):
            row = {"group": group, "value": float(by_class.sum())}
            rows.append(row | ({"by_class": by_class.tolist()} if len(by_class) > 1 else {}))
            advance()
        return Explanation(
            self.kind,
            Baseline(subject.method[1], tuple(sample.base.tolist())),
            Error(
                "additivity gap", sample.gap, "the worst difference of base and contributions from the score"
            ),
            {"rows": sorted(rows, key=lambda row: (-row["value"], row["group"])), "unit": "score"},
        )
