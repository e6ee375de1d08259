"""What a project file may say about the costs of decisions, wherever it says it."""

from __future__ import annotations

from pydantic import Field

from bessemer.core.spec import Spec


class CostsSpec(Spec):
    """What each outcome of a decision costs, in any one unit; a gain is below zero."""

    false_positive: float = Field(description="of a positive that was said and is none")
    false_negative: float = Field(description="of a positive that was not said")
    true_positive: float = Field(0.0, description="of a positive that was said and is one")
    true_negative: float = Field(0.0, description="of a negative that was left alone")
