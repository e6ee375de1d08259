"""Private training: DP-SGD (Abadi et al. 2016, "Deep learning with differential privacy").

Every row's gradient is shortened to one length, they are added up, and normal noise hides what any single one of them
did. The sum is divided by the rows that a step has on average: how many it has is not to be seen either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap

from bessemer.core.errors import UsageError
from bessemer.core.spec import Spec
from bessemer.train.networks.batch import Batch, Loss
from bessemer.train.networks.dropout import seed_dropout
from bessemer.train.networks.net import Net
from bessemer.train.networks.objective import Plan
from bessemer.train.networks.private_accounting import Budget, budget_of
from bessemer.train.networks.private_noise import normals, step_key
from bessemer.train.private import PrivateSpec

#: Values of all rows' gradients that are in memory at once.
_VALUES = 2**24
#: What the guarantee is of, in words: for `model.json`, the card and the report.
COVERS = "the network's weights; each training row, as one row more or less"
BEYOND = (
    "statistics of the training rows that preprocessing and the scaling of features take, and how many rows there "
    "are: these are taken as public",
    "validation and test rows, which choose the epoch, calibrate and judge",
    "the baselines' figures, and what else travels with the model: reference, contract, report, explanations",
)


class Private:
    """The clipped gradients of single rows, and noise that follows from the plan's secret seed and the step."""

    SAMPLER: ClassVar[str] = "poisson"
    PRIVATE: ClassVar[bool] = True
    Settings: ClassVar[type[Spec]] = PrivateSpec

    def __init__(self, settings: PrivateSpec, plan: Plan) -> None:
        self._settings, self._plan = settings, plan

    @cached_property
    def budget(self) -> Budget:
        """Of all steps that the plan allows, taken or not: which is the last follows from what was seen."""
        plan = self._plan
        return budget_of(self._settings, min(1.0, plan.step_rows / plan.rows), plan.steps)

    def gradients(self, net: Net, batch: Batch, loss: Loss) -> float:
        """Without dropout: noise regularises enough. A row whose gradient is not finite counts as none."""
        _check_apart(net)
        seed_dropout(net, None)
        trained = {name: p for name, p in net.named_parameters() if p.requires_grad}
        at_once = max(1, _VALUES // sum(p.numel() for p in trained.values()))
        total = 0.0
        for first in range(0, len(batch), at_once):
            found, losses = row_gradients(net, trained, _rows(batch, first, first + at_once), loss)
            for name, value in clipped_sum(found, self._settings.max_grad_norm).items():
                _add(trained[name], value / self._plan.step_rows)
            total += float(torch.nan_to_num(losses, 0.0, 0.0, 0.0).sum())
        return total / batch.rows

    def finish(self, net: Net, step: int) -> None:
        if step >= self._plan.steps:
            raise AssertionError(f"step {step} is beyond the {self._plan.steps} that were accounted for")
        trained = [p for p in net.parameters() if p.requires_grad]
        drawn = normals(step_key(self._plan.seed, "noise", step), sum(p.numel() for p in trained))
        noise = torch.from_numpy(
            drawn * self.budget.noise * self._settings.max_grad_norm / self._plan.step_rows
        )
        for p, own in zip(trained, noise.split([p.numel() for p in trained]), strict=True):
            hidden = own.view_as(p)  # float64: what is added up is rounded once
            p.grad = (hidden if p.grad is None else p.grad.double() + hidden).float()

    def facts(self, taken: int) -> dict[str, Any]:
        """What is promised, for `model.json`. taken: steps."""
        own, budget = self._settings, self.budget
        return {
            **own.model_dump(mode="json"),
            "asked": own.epsilon,
            "accountant": budget.accountant,
            "epsilon": budget.epsilon,
            "noise_multiplier": budget.noise,
            "sampling": "poisson",
            "sample_rate": budget.rate,
            "rows": self._plan.rows,
            "steps": budget.steps,
            "steps_taken": taken,
            "covers": COVERS,
            "beyond": list(BEYOND),
        }


def is_private(objective: Any) -> bool:
    """Whether nothing of the training rows may be told but by the weights: no loss, no first guess, no trial."""
    return bool(getattr(objective, "PRIVATE", False))


def private_facts(objective: Any, taken: int) -> dict[str, Any] | None:
    """What private training promises after so many steps; None of any other."""
    return objective.facts(taken) if is_private(objective) else None


def promise(facts: Mapping[str, Any]) -> str:
    """What is promised, in a sentence."""
    return (
        f"differentially private: epsilon {facts['epsilon']:.3g} at delta {facts['delta']:g} for {facts['covers']}; "
        f"noise of {facts['noise_multiplier']:.3g} on {facts['sample_rate']:.1%} of {facts['rows']} rows in each of "
        f"{facts['steps']} steps"
    )


def row_gradients(
    net: Net, trained: Mapping[str, nn.Parameter], batch: Batch, loss: Loss
) -> tuple[dict[str, Tensor], Tensor]:
    """Of the loss of each row by itself: by parameter (B, *its shape), and the losses (B,)."""

    def one(values: dict[str, Tensor], X: Tensor, y: Tensor, weight: Tensor) -> Tensor:
        row = replace(batch, X=X[None], y=y[None], weight=weight[None], rows=1)
        return loss.each(functional_call(net, values, (row.X,)), row)[0]

    values = {name: p.detach() for name, p in trained.items()}
    each = vmap(grad_and_value(one), in_dims=(None, 0, 0, 0))
    found: tuple[dict[str, Tensor], Tensor] = each(values, batch.X, batch.y, batch.weight)
    return found


def clipped_sum(gradients: Mapping[str, Tensor], longest: float) -> dict[str, Tensor]:
    """The sum over rows, each row's gradient no longer than `longest` over all parameters together; what is not
    finite counts as nothing. (B, *shape) -> (*shape)."""
    flat = {name: value.flatten(1) for name, value in gradients.items()}
    length = torch.stack([value.square().sum(dim=1) for value in flat.values()]).sum(dim=0).sqrt()
    finite = torch.isfinite(length)
    share = torch.where(finite, (longest / (length + 1e-6)).clamp(max=1.0), 0.0)
    if not bool(finite.all()):
        flat = {name: torch.where(finite[:, None], value, 0.0) for name, value in flat.items()}
    return {name: (share @ value).view(gradients[name].shape[1:]) for name, value in flat.items()}


def _rows(batch: Batch, first: int, last: int) -> Batch:
    return replace(batch, X=batch.X[first:last], y=batch.y[first:last], weight=batch.weight[first:last])


def _add(parameter: nn.Parameter, value: Tensor) -> None:
    parameter.grad = value if parameter.grad is None else parameter.grad + value


def _check_apart(net: nn.Module) -> None:
    """Raises UsageError where a layer lets rows of a step see each other."""
    for name, layer in net.named_modules():
        mixes = isinstance(layer, nn.modules.batchnorm._BatchNorm)
        if mixes or getattr(layer, "track_running_stats", False):
            raise UsageError(
                f"private: the layer {name} ({type(layer).__name__}) takes statistics of a whole step",
                why="what one row does to them is neither clipped nor hidden by noise",
                fix="take an encoder with norms of single rows: nn.GroupNorm, nn.LayerNorm",
            )
