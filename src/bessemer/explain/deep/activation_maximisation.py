"""Activation maximisation: an input that an output, or a unit of a layer, likes best."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor

from bessemer.core.errors import UsageError
from bessemer.core.spec import Spec
from bessemer.explain.deep.question import Attribution, Question, array, picked, still, watched
from bessemer.explain.explanation import Baseline, Error


class ActivationMaximisation:
    """Climbs from each input by the gradient (Adam), staying between `low` and `high`.
    values: the inputs' shape, the best point that each climb has seen.

    With a layer in the question, the target is a unit of it (a channel, averaged over its places), else an output.
    `details` has the activation at the start and the one reached, for each row.

    Source: Erhan et al., "Visualizing higher-layer features of a deep network", 2009.

    >>> network = torch.nn.Linear(2, 1, bias=False)
    >>> _ = torch.nn.init.constant_(network.weight, 3.0)
    >>> start = torch.tensor([[0.0, 0.5], [1.0, 0.0]])
    >>> found = ActivationMaximisation(ActivationMaximisation.Settings(penalty=0)).explain(Question(network, start))
    >>> found.details["reached"], found.values.tolist()
    ([6.0, 6.0], [[1.0, 1.0], [1.0, 1.0]])
    """

    class Settings(Spec):
        """How the climb goes."""

        steps: int = Field(200, ge=1, le=100_000, description="Steps of the climb.")
        rate: float = Field(
            0.05, gt=0, le=1, description="Length of a step, as a share of the inputs' range."
        )
        low: float | None = Field(None, description="The least value; that of all inputs without a word.")
        high: float | None = Field(None, description="The largest value; that of all inputs without a word.")
        penalty: float = Field(0.01, ge=0, le=1e6, description="What the mean square of the input costs.")

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def explain(self, question: Question) -> Attribution:
        start = question.inputs.detach()
        with still(question.module):
            if not question.layer:
                question.targets()
            best, reached, first = self._climbed(question, start)
        gap = float(reached.max() - reached.min()) if len(reached) > 1 else None
        text = (
            "the distance of the highest from the lowest top that the climbs reached"
            if gap is not None
            else "one climb from one start: whether there is a higher top is not known"
        )
        return Attribution(
            array(best),
            Baseline("the input that the climb starts from"),
            Error("spread of the tops", gap, text),
            {"start": array(first).tolist(), "reached": array(reached).tolist()},
        )

    def _climbed(self, question: Question, start: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        low, high = self._bounds(start)
        width = high - low
        x = start.clone().requires_grad_(True)
        steps = torch.optim.Adam([x], lr=self.settings.rate * width)
        first = _activation(question, start).detach()
        best, top, value = start.clone(), first.clone(), self._worth(first, start)
        for _ in range(self.settings.steps):
            worth = self._worth(_activation(question, x), x)
            (slope,) = torch.autograd.grad(worth.sum(), x)
            x.grad = -slope
            steps.step()
            with torch.no_grad():
                x.clamp_(low, high)
                now = _activation(question, x)
                better = self._worth(now, x) > value
                value = torch.where(better, self._worth(now, x), value)
                top = torch.where(better, now, top)
                best[better] = x[better]
        return best, top, first

    def _bounds(self, start: Tensor) -> tuple[float, float]:
        low = float(start.min()) if self.settings.low is None else self.settings.low
        high = float(start.max()) if self.settings.high is None else self.settings.high
        if not low < high:
            raise UsageError(
                f"there is nowhere to climb between {low:g} and {high:g}",
                fix="set low and high to the range of real inputs, or start from some",
            )
        return low, high

    def _worth(self, activation: Tensor, x: Tensor) -> Tensor:
        return activation - self.settings.penalty * (x**2).flatten(1).mean(dim=1)


def _activation(question: Question, x: Tensor) -> Tensor:
    """(N,): of the output or of the layer's unit."""
    if not question.layer:
        return picked(question.module(x), question.columns)
    with watched(question.named_layer()) as seen:
        question.module(x)
    found = seen[0]
    return picked(found.flatten(2).mean(dim=2) if found.ndim > 2 else found, question.columns)
