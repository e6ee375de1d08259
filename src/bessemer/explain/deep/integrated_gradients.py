"""Integrated gradients: the gradient, added up on the straight way from the baseline to the input."""

from __future__ import annotations

from pydantic import Field

from bessemer.core.spec import Spec
from bessemer.explain.deep.question import Attribution, Question, array, completeness, still

#: The most inputs that go through the network at once.
_BATCH = 1024


class IntegratedGradients:
    """(input - baseline) times the mean gradient between them, by Gauss-Legendre quadrature. values: the inputs' shape.

    A row's values sum to its score less that of the baseline, but for the error of the quadrature.

    Source: Sundararajan, Taly and Yan, "Axiomatic attribution for deep networks", ICML 2017.

    >>> import torch
    >>> network = torch.nn.Linear(2, 1, bias=False)
    >>> _ = torch.nn.init.constant_(network.weight, 3.0)
    >>> found = IntegratedGradients(IntegratedGradients.Settings()).explain(
    ...     Question(network, torch.tensor([[1.0, 2.0]]))
    ... )
    >>> found.values.round(3).tolist(), found.error.measure
    ([[3.0, 6.0]], 'completeness gap')
    """

    class Settings(Spec):
        """How fine the way is cut."""

        steps: int = Field(64, ge=2, le=4096, description="Points on the way where the gradient is taken.")

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def explain(self, question: Question) -> Attribution:
        from captum.attr import IntegratedGradients as Captum

        rows = question.inputs.shape[0]
        with still(question.module):
            values = Captum(question.module).attribute(
                question.fresh,
                question.against,
                target=question.targets(),
                n_steps=self.settings.steps,
                internal_batch_size=max(rows, _BATCH),
            )
            return Attribution(array(values), question.compared(), completeness(question, values))
