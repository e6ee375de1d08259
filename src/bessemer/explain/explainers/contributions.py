"""Importance as the mean absolute contribution: how far a column moves the score of a row, on average."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from bessemer.core.stage import Context
    from bessemer.explain.sample import Sample
    from bessemer.explain.spec import ExplainSpec
    from bessemer.explain.subject import Subject


class MeanContributions:
    """The mean over rows of |contribution|, in units of the score; in multiclass summed over the classes.

    Source: Lundberg et al., "From local explanations to global understanding with explainable AI for
    trees", Nature Machine Intelligence 2 (2020).
    """

    def rank(
        self, subject: Subject, sample: Sample, spec: ExplainSpec, ctx: Context, advance: Callable[[], None]
    ) -> list[dict[str, Any]]:
        strength = np.abs(sample.contributions).mean(axis=0)  # (G, K)
        rows: list[dict[str, Any]] = []
        for group, by_class in zip(subject.groups, strength, strict=True):
            row = {"group": group, "mean_abs": float(by_class.sum())}
            rows.append(row | ({"by_class": by_class.tolist()} if len(by_class) > 1 else {}))
            advance()
        return sorted(rows, key=lambda row: (-row["mean_abs"], row["group"]))
