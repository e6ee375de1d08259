"""What a step minimises: the seam where adversarial and private training fit in.

An objective fills the parameters' gradients for a part of a step; the loop does all else: rows, augmentation,
accumulation, clipping, skipping what is not finite, the optimiser, averages, checkpoints. It keeps no state between
steps, and what is random in it follows from `Batch.seed` and the step: so a killed training goes on bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from bessemer.core.spec import Spec

if TYPE_CHECKING:
    from bessemer.train.networks.batch import Batch, Loss
    from bessemer.train.networks.net import Net


@dataclass(frozen=True)
class Plan:
    """What is known before the first step.

    rows: training rows. step_rows: rows of a step, all its parts together. steps: as many as were asked for.
    seed: of the run, 31 bits; of private training 256 bits that only this user can compute.
    """

    rows: int
    step_rows: int
    steps: int
    seed: int


class Objective(Protocol):
    """One thing to minimise.

    Settings: what `params` may say of it.
    SAMPLER: the sampler that it takes for granted, or '' for any.
    A true `PRIVATE` beside them says that training rows may show in nothing but the gradients (`private.is_private`).
    """

    Settings: ClassVar[type[Spec]]
    SAMPLER: ClassVar[str]

    def __init__(self, settings: Any, plan: Plan) -> None: ...

    def gradients(self, net: Net, batch: Batch, loss: Loss) -> float:
        """Add the gradient of this part's share of the step's mean loss to `grad` of every parameter.

        `net` is in training mode and its dropout is seeded. Gives that share of the loss (`Loss.total`).
        """
        ...

    def finish(self, net: Net, step: int) -> None:
        """Called once a step (from 0), behind its last part and before clipping: noise may be added to `grad`."""
        ...


class NoSettings(Spec):
    """Nothing to say."""


class Plain:
    """The loss itself."""

    Settings: ClassVar[type[Spec]] = NoSettings
    SAMPLER: ClassVar[str] = ""

    def __init__(self, settings: NoSettings, plan: Plan) -> None:
        pass

    def gradients(self, net: Net, batch: Batch, loss: Loss) -> float:
        total = loss.total(net(batch.X), batch)
        total.backward()
        return float(total.detach())

    def finish(self, net: Net, step: int) -> None:
        pass
