"""What the project file may say of certified boosting."""

from __future__ import annotations

from pydantic import Field

from bessemer.core.constraints import Constraints
from bessemer.core.spec import Spec


class CertifiedSettings(Spec):
    """What an attacker may do to the rows.

    >>> CertifiedSettings().eps
    0.1
    """

    eps: float = Field(
        0.1, gt=0, le=1e6, description="how far each column may be moved, in standard deviations"
    )
    constraints: Constraints = Field(
        default_factory=dict,
        description="by column, what an attacker may change of it, as under `attack`",
    )
