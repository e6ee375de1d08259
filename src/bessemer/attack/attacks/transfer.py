"""Transfer: rows that fool the linear baseline, shown to the model. It needs neither gradients nor questions.

Papernot, McDaniel and Goodfellow, Transferability in machine learning (2016).
"""

from __future__ import annotations

from typing import Any, ClassVar

from bessemer.attack.arena import Arena
from bessemer.attack.attacks.pgd import PGD
from bessemer.attack.protocol import Victim

_BASELINE = "baselines/linear.onnx"


class Transfer(PGD):
    """PGD on the linear baseline that was trained beside the model."""

    WHITE: ClassVar[bool] = False

    def refuses(self, victim: Victim) -> str:
        if _BASELINE not in victim.model.files:
            return "there is no linear baseline beside the model"
        return super().refuses(victim)

    def graph(self, victim: Victim) -> bytes:
        return victim.model.bytes(_BASELINE)

    def twin(self, arena: Arena) -> Any:
        from bessemer.package.differentiable import twin

        return twin(self.graph(arena.victim))
