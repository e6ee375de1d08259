"""The ways to rank columns by importance, and what they have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from bessemer.core.plugins import PluginRef, PluginTable

if TYPE_CHECKING:
    from bessemer.core.stage import Context
    from bessemer.explain.sample import Sample
    from bessemer.explain.spec import ExplainSpec
    from bessemer.explain.subject import Subject


class Explainer(Protocol):
    """Ranks the columns of a model on a sample of test rows."""

    def rank(
        self, subject: Subject, sample: Sample, spec: ExplainSpec, ctx: Context, advance: Callable[[], None]
    ) -> list[dict[str, Any]]:
        """A row for each column (key `group`), the most important first.

        `advance` is called about once for each column of the model.
        """


EXPLAINERS: PluginTable[Explainer] = PluginTable(
    "bessemer.explainers",
    {
        "permutation": PluginRef(
            "bessemer.explain.explainers.permutation:Permutation",
            summary="what the metric loses when a column is shuffled",
        ),
        "contributions": PluginRef(
            "bessemer.explain.explainers.contributions:MeanContributions",
            summary="how far a column moves the score, on average",
        ),
    },
)
