"""Transfer: rows that fool the linear baseline, shown to the model. It needs neither gradients nor questions.

Papernot, McDaniel and Goodfellow, Transferability in machine learning (2016).
"""

from __future__ import annotations

from typing import Any, ClassVar

from bessemer.attack.arena import Arena
from bessemer.attack.attacks.pgd import PGD
from bessemer.attack.protocol import Victim
from bessemer.core.errors import FormatError

_BASELINE = "baselines/linear.onnx"


class Transfer(PGD):
    """PGD on the linear baseline that was trained beside the model."""

    WHITE: ClassVar[bool] = False

    def refuses(self, victim: Victim) -> str:
        if _BASELINE not in victim.model.files:
            return "there is no linear baseline beside the model"
        try:
            _twin(victim)
        except FormatError as error:
            return error.what
        return super().refuses(victim)

    def twin(self, arena: Arena) -> Any:
        return _twin(arena.victim)


def _twin(victim: Victim) -> Any:
    from bessemer.package.differentiable import twin

    return twin(victim.model.bytes(_BASELINE))
