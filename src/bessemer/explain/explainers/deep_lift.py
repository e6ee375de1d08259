"""DeepLIFT of a neural network for tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from bessemer.core.spec import Spec
from bessemer.explain.network_rows import explained_network, refused

if TYPE_CHECKING:
    from bessemer.core.stage import Context
    from bessemer.explain.explanation import Explanation, Kind
    from bessemer.explain.sample import Sample
    from bessemer.explain.subject import Subject


class DeepLift:
    """What differs from the median row, handed back from the score layer by layer (the rescale rule).

    Source: Shrikumar, Greenside and Kundaje, "Learning important features through propagating activation
    differences", ICML 2017.
    """

    kind: ClassVar[Kind] = "attributions"

    class Settings(Spec):
        """How many rows."""

        rows: int = Field(8, ge=1, le=1000, description="How many rows are explained.")

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def refuses(self, subject: Subject) -> str:
        return refused(subject)

    def explain(
        self, subject: Subject, sample: Sample, ctx: Context, advance: Callable[[], None]
    ) -> Explanation:
        from bessemer.explain.deep.deep_lift import DeepLIFT

        return explained_network(
            DeepLIFT(DeepLIFT.Settings()).explain, self.settings.rows, subject, sample, advance
        )
