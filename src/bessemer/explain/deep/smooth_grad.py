"""SmoothGrad: the mean gradient of inputs under noise."""

from __future__ import annotations

import torch
from pydantic import Field

from bessemer.core.spec import Spec
from bessemer.explain.deep.question import Attribution, Question, array, still
from bessemer.explain.explanation import Baseline, Error


class SmoothGrad:
    """The mean of the gradient over inputs with normal noise. values: the inputs' shape.

    The noise's deviation is a share of the distance from the least to the largest value of a row.

    Source: Smilkov et al., "SmoothGrad: removing noise by adding noise", 2017.

    >>> network = torch.nn.Linear(2, 1)
    >>> _ = torch.nn.init.constant_(network.weight, -3.0)
    >>> found = SmoothGrad(SmoothGrad.Settings(samples=4)).explain(Question(network, torch.ones(1, 2)))
    >>> found.values.tolist(), found.error.measure, found.error.value
    ([[3.0, 3.0]], 'standard error', 0.0)
    """

    class Settings(Spec):
        """How much noise, how often, and what is shown of the gradient."""

        samples: int = Field(50, ge=2, le=10_000, description="Noisy copies of each input.")
        noise: float = Field(
            0.15, gt=0, le=10, description="Deviation of the noise, as a share of the range."
        )
        signed: bool = Field(False, description="The gradient itself, not its absolute value.")

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def explain(self, question: Question) -> Attribution:
        from captum.attr import Saliency

        inputs, count = question.inputs.detach(), self.settings.samples
        flat = inputs.flatten(1)
        spread = self.settings.noise * (flat.max(dim=1).values - flat.min(dim=1).values)
        spread = spread.reshape(-1, *[1] * (inputs.ndim - 1))
        generator = torch.Generator().manual_seed(question.seed)
        mean, square = torch.zeros_like(inputs), torch.zeros_like(inputs)
        with still(question.module):
            method, targets = Saliency(question.module), question.targets()
            for i in range(count):
                noise = torch.randn(inputs.shape, generator=generator, dtype=inputs.dtype).to(inputs.device)
                found = method.attribute(
                    (inputs + spread * noise).requires_grad_(True),
                    target=targets,
                    abs=not self.settings.signed,
                ).detach()
                off = found - mean  # Welford: no difference of large sums
                mean += off / (i + 1)
                square += off * (found - mean)
        error = float((square / (count - 1) / count).clamp(min=0).sqrt().max())
        return Attribution(
            array(mean),
            Baseline(f"the input itself under noise of {self.settings.noise:g} of its range"),
            Error("standard error", error, f"the worst of a mean over {count} noisy copies"),
        )
