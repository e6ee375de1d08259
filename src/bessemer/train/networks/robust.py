"""Training against changed rows: what a step minimises is the loss of rows that an attacker, or chance, has moved.

Of a network that looks at images it is the pixels that move, by `eps` of 0 to 1, and they stay between those; of one
that does not, the numbers of the table, by `eps` of what their scaling makes 1 (about a spread).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from bessemer.core.blocks import Block
from bessemer.core.errors import UsageError
from bessemer.core.spec import Spec
from bessemer.train.networks.batch import Batch, Loss
from bessemer.train.networks.net import Net
from bessemer.train.networks.objective import Plan
from bessemer.train.networks.protocol import Table

Norm = Literal["l_inf", "l_2"]
#: Steps are this much longer than the way to the budget's edge, in all.
_AMPLE = 2.5


@dataclass(frozen=True)
class Ball:
    """Where a row may be moved to: (F,) `scale` is what one unit of the budget is in each feature, 0 where it stays;
    `low` and `high` are the ends of what a feature can be."""

    scale: Tensor
    low: float
    high: float
    norm: Norm
    eps: float

    def inside(self, X: Tensor, by: Tensor) -> Tensor:
        """Rows X (B, F) moved by (B, F) units, or as far as the ball goes. What is missing stays so."""
        if self.norm == "l_inf":
            by = by.clamp(-self.eps, self.eps)
        else:
            far = by.norm(dim=1, keepdim=True)
            by = by * (self.eps / far.clamp(min=1e-12)).clamp(max=1.0)
        moved = X + by * self.scale
        return torch.where(self.scale > 0, moved.clamp(self.low, self.high), X)

    def step(self, by: Tensor, gradient: Tensor, size: float) -> Tensor:
        """Uphill by a step of that size; features that stay have no part in its length."""
        uphill = torch.nan_to_num(gradient) * self.scale
        if self.norm == "l_inf":
            return by + size * uphill.sign()
        return by + size * uphill / uphill.norm(dim=1, keepdim=True).clamp(min=1e-12)

    def start(self, X: Tensor, generator: torch.Generator) -> Tensor:
        """Somewhere in the ball, in units."""
        by = (2 * torch.rand(X.shape, generator=generator) - 1) * (self.scale > 0)
        if self.norm == "l_inf":
            return by * self.eps
        share = torch.rand((len(X), 1), generator=generator)
        return by / by.norm(dim=1, keepdim=True).clamp(min=1e-12) * share * self.eps


def ball_of(net: Net, norm: Norm, eps: float) -> Ball:
    """What may be moved of the rows that the network is given."""
    inputs = net.inputs
    scale = torch.zeros(len(inputs.baseline))
    images = [one for one in inputs.sources if isinstance(one, Block) and one.kind == "image"]
    for image in images:
        scale[image.start : image.stop] = 1.0
    if images:
        return Ball(scale, 0.0, 1.0, norm, eps)
    for source, spans, scaling in zip(inputs.sources, inputs.spans, inputs.scales, strict=True):
        if isinstance(source, Table):
            places = torch.cat([torch.arange(start, stop) for start, stop in spans])
            unit = torch.where(scaling.factor > 0, 1 / scaling.factor, torch.zeros_like(scaling.factor))
            scale[places] = unit * torch.tensor(source.numeric)
    if not scale.any():
        raise UsageError(
            "there is nothing to move for robust training: no image, and no number in a table",
            fix="leave `robust` out",
        )
    return Ball(scale, -torch.inf, torch.inf, norm, eps)


def worst(
    net: Net, X: Tensor, harm: Callable[[Tensor], Tensor], ball: Ball, steps: int, generator: torch.Generator
) -> Tensor:
    """Rows (B, F) moved to where `harm` of the network's output, (B, K') -> a number, is great: projected gradient
    ascent from a random start (Madry et al. 2018). The network answers as it would when it ships."""
    net.eval()
    by, size = ball.start(X, generator), _AMPLE * ball.eps / steps if steps > 1 else 1.25 * ball.eps
    for _ in range(steps):
        moved = ball.inside(X, by).detach().requires_grad_(True)
        (gradient,) = torch.autograd.grad(harm(net(moved)), moved)
        by = ball.step(by, gradient, size)
    net.train()
    return ball.inside(X, by).detach()


class RobustSettings(Spec):
    """What an attacker in training may do."""

    eps: float = Field(0.1, gt=0, le=100, description="how far rows are moved")
    norm: Norm = Field("l_inf", description="how that is measured: l_inf (the largest of one value) or l_2")
    steps: int = Field(
        7, ge=1, le=1000, description="steps of the attacker; 1 is the fast way of Wong et al. (2020)"
    )


class PGD:
    """Learns from the worst rows that an attacker finds, and from no others (Madry et al. 2018)."""

    SAMPLER: ClassVar[str] = ""
    Settings: ClassVar[type[Spec]] = RobustSettings

    def __init__(self, settings: RobustSettings, plan: Plan) -> None:
        self._settings = settings

    def gradients(self, net: Net, batch: Batch, loss: Loss) -> float:
        own = self._settings
        ball = ball_of(net, own.norm, own.eps)

        def harm(output: Tensor) -> Tensor:
            return loss.each(output, batch).sum()

        moved = worst(net, batch.X, harm, ball, own.steps, batch.generator())
        total = loss.total(net(moved), batch)
        total.backward()
        return float(total.detach())

    def finish(self, net: Net, step: int) -> None:
        pass


class TradesSettings(RobustSettings):
    """What an attacker in training may do, and what that counts."""

    beta: float = Field(6.0, gt=0, le=1000, description="what standing firm counts against being right")


class Trades:
    """The loss of the rows as they are, and how far an attacker can turn what is said of them (Zhang et al. 2019)."""

    SAMPLER: ClassVar[str] = ""
    Settings: ClassVar[type[Spec]] = TradesSettings

    def __init__(self, settings: TradesSettings, plan: Plan) -> None:
        self._settings = settings

    def gradients(self, net: Net, batch: Batch, loss: Loss) -> float:
        own = self._settings
        if loss.task == "regression":
            raise UsageError(
                "trades holds probabilities of classes against each other, and the target is a number",
                fix="say `robust: {pgd: ...}`",
            )
        ball = ball_of(net, own.norm, own.eps)
        net.eval()
        with torch.no_grad():
            said = _logs(net(batch.X), loss)
        moved = worst(
            net,
            batch.X,
            lambda out: _turned(_logs(out, loss), said).sum(),
            ball,
            own.steps,
            batch.generator(),
        )
        output = net(batch.X)
        turned = (_turned(_logs(net(moved), loss), _logs(output, loss)) * batch.weight).sum() / batch.rows
        total = loss.total(output, batch) + own.beta * turned
        total.backward()
        return float(total.detach())

    def finish(self, net: Net, step: int) -> None:
        pass


def _logs(output: Tensor, loss: Loss) -> Tensor:
    """Logarithms of the probabilities of all classes, (B, K)."""
    if loss.task == "multiclass":
        return functional.log_softmax(output, dim=1)
    return functional.logsigmoid(torch.cat([-output, output], dim=1))


def _turned(now: Tensor, before: Tensor) -> Tensor:
    """The Kullback-Leibler divergence of what is said now from what was said before, of logarithms: (B,)."""
    return functional.kl_div(now, before, reduction="none", log_target=True).sum(dim=1)


class NoiseSettings(Spec):
    """How much noise."""

    sigma: float = Field(0.25, gt=0, le=100, description="spread of the noise on each value")


class Noise:
    """Learns from rows with normal noise on them: what randomised smoothing asks (Cohen et al. 2019)."""

    SAMPLER: ClassVar[str] = ""
    Settings: ClassVar[type[Spec]] = NoiseSettings

    def __init__(self, settings: NoiseSettings, plan: Plan) -> None:
        self._settings = settings

    def gradients(self, net: Net, batch: Batch, loss: Loss) -> float:
        scale = ball_of(net, "l_2", 1.0).scale
        noise = torch.randn(batch.X.shape, generator=batch.generator())
        total = loss.total(net(batch.X + self._settings.sigma * scale * noise), batch)
        total.backward()
        return float(total.detach())

    def finish(self, net: Net, step: int) -> None:
        pass
