"""Interaction strengths of a model of trees: how far two columns move the score beyond what each does alone."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field

from bessemer.core.spec import Spec
from bessemer.explain.explanation import Baseline, Error, Explanation, Kind
from bessemer.explain.quality import mean_interval
from bessemer.package.attribution.interactions import Interactions

if TYPE_CHECKING:
    from bessemer.core.stage import Context
    from bessemer.explain.sample import Floats, Sample
    from bessemer.explain.subject import Subject

#: What all rows may cost, in about a nanosecond of one thread; the fewest rows that say something; rows at a time.
_WORK, _FEWEST, _BLOCK = 1e10, 20, 128


class ShapInteractions:
    """The mean over rows of |interaction value| of each pair, in units of the score; in multiclass summed over the
    classes.

    `low` and `high` are the 95% t interval of that mean over the rows. The values are exact; a pair's is the whole of
    what the two do together, twice an entry of the matrix of Lundberg et al.

    Source: Lundberg et al., "From local explanations to global understanding with explainable AI for trees", Nature
    Machine Intelligence 2 (2020).
    """

    kind: ClassVar[Kind] = "interactions"

    class Settings(Spec):
        """How much of it."""

        columns: int = Field(
            30, ge=2, le=200, description="The columns that are paired: those that move the score most."
        )
        pairs: int = Field(20, ge=1, le=1000, description="How many pairs are told, the strongest ones.")
        rows: int = Field(
            500, ge=2, le=100_000, description="How many of the explained rows, drawn at random."
        )

    def __init__(self, settings: Settings) -> None:
        self.columns, self.pairs, self.rows = settings.columns, settings.pairs, settings.rows

    def refuses(self, subject: Subject) -> str:
        native = subject.contributions.native
        if why := Interactions.refuses(native):
            return why
        slow = Interactions(native, np.full(len(subject.features), -1), 0).work * _FEWEST > _WORK
        return "its trees are so deep that a row takes half a second" if slow else ""

    def explain(
        self, subject: Subject, sample: Sample, ctx: Context, advance: Callable[[], None]
    ) -> Explanation:
        groups = self._groups(subject, sample, ctx)
        strength = self._strength(groups, subject, sample, ctx, advance)  # (rows, pairs)
        names = list(combinations(groups, 2))
        mean = strength.mean(axis=0) if len(names) else np.zeros(0)
        order = [i for i in np.argsort(-mean, kind="stable").tolist() if mean[i] > 0][: self.pairs]
        pairs: list[dict[str, Any]] = []
        for i in order:
            pair = {"columns": list(names[i]), "value": float(mean[i])}
            if len(strength) > 1:
                pair["low"], pair["high"] = mean_interval(strength[:, i])
            pairs.append(pair)
        widest = max((pair["high"] - pair["low"] for pair in pairs if "high" in pair), default=0.0) / 2
        return Explanation(
            self.kind,
            Baseline("the training rows that reached each branch of the trees"),
            Error("95% interval", widest, f"half the widest t interval of a mean over {len(strength)} rows"),
            {"pairs": pairs, "unit": "score"},
        )

    def _groups(self, subject: Subject, sample: Sample, ctx: Context) -> list[str]:
        strength = np.abs(sample.contributions).mean(axis=0).sum(axis=1)
        order = sorted(range(len(subject.groups)), key=lambda i: (-strength[i], subject.groups[i]))
        moving = [subject.groups[i] for i in order if strength[i] > 0]
        if len(moving) > self.columns:
            ctx.note(
                f"shap_interactions: pairs of the {self.columns} columns that move the score most, of {len(moving):,}"
            )
        return moving[: self.columns]

    def _strength(
        self, groups: list[str], subject: Subject, sample: Sample, ctx: Context, advance: Callable[[], None]
    ) -> Floats:
        """|interaction value| of each row and pair, over all classes."""
        number = {group: i for i, group in enumerate(groups)}
        member = np.array([number.get(feature["group"], -1) for feature in subject.features], dtype=np.int64)
        explain = subject.contributions
        values = Interactions(explain.native, member, len(groups))
        most = max(_FEWEST, int(_WORK / max(1.0, values.work)))
        rows = np.arange(len(sample))
        if len(rows) > min(self.rows, most):
            rows = np.sort(
                ctx.rng("shap_interactions").choice(len(rows), min(self.rows, most), replace=False)
            )
        if most < min(self.rows, len(sample)):
            ctx.note(f"shap_interactions: {most} rows, as the trees are many or deep")
        found = []
        for start in range(0, len(rows), _BLOCK):
            part = values.compute(sample.features[rows[start : start + _BLOCK]]) * explain.scale
            found.append(np.abs(part).sum(axis=2))
            advance()
        return np.concatenate(found)
