"""Integrated gradients of a neural network for tables."""

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


class IntegratedGradients:
    """The gradient of the score, added up on the straight way from the median row to the explained one.

    Source: Sundararajan, Taly and Yan, "Axiomatic attribution for deep networks", ICML 2017.
    """

    kind: ClassVar[Kind] = "attributions"

    class Settings(Spec):
        """How many rows, and how fine the way is cut."""

        rows: int = Field(8, ge=1, le=1000, description="How many rows are explained.")
        steps: int = Field(256, ge=2, le=4096, description="Points on the way where the gradient is taken.")

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def refuses(self, subject: Subject) -> str:
        return refused(subject)

    def explain(
        self, subject: Subject, sample: Sample, ctx: Context, advance: Callable[[], None]
    ) -> Explanation:
        from bessemer.explain.deep.integrated_gradients import IntegratedGradients as Deep

        method = Deep(Deep.Settings(steps=self.settings.steps))
        return explained_network(method.explain, self.settings.rows, subject, sample, advance)
