"""The explainers, and what they have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from bessemer.core.plugins import PluginRef, PluginTable

if TYPE_CHECKING:
    from bessemer.core.spec import Spec
    from bessemer.core.stage import Context
    from bessemer.explain.explanation import Explanation, Kind
    from bessemer.explain.sample import Sample
    from bessemer.explain.subject import Subject


class Explainer(Protocol):
    """One way to explain a model, on a sample of rows that it has never seen.

    kind: what its explanations look like. Settings: what the project file may say of it.
    """

    kind: ClassVar[Kind]
    Settings: ClassVar[type[Spec]]

    def __init__(self, settings: Any) -> None: ...

    def refuses(self, subject: Subject) -> str:
        """Why this model cannot be explained in this way, in a sentence; '' where it can."""

    def explain(
        self, subject: Subject, sample: Sample, ctx: Context, advance: Callable[[], None]
    ) -> Explanation:
        """The explanation. The same seed gives the same one; `advance` is called now and then."""


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
