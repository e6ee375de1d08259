"""Saliency: the gradient of the score."""

from __future__ import annotations

from pydantic import Field

from bessemer.core.spec import Spec
from bessemer.explain.deep.question import Attribution, Question, array, still
from bessemer.explain.explanation import Baseline, Error


class Saliency:
    """How fast the score changes with each part of the input. values: the inputs' shape.

    Source: Simonyan, Vedaldi and Zisserman, "Deep inside convolutional networks", 2013.

    >>> import torch
    >>> network = torch.nn.Linear(2, 1)
    >>> _ = torch.nn.init.constant_(network.weight, -3.0)
    >>> Saliency(Saliency.Settings()).explain(Question(network, torch.ones(1, 2))).values.tolist()
    [[3.0, 3.0]]
    """

    class Settings(Spec):
        """What is shown of the gradient."""

        signed: bool = Field(False, description="The gradient itself, not its absolute value.")

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def explain(self, question: Question) -> Attribution:
        from captum.attr import Saliency as Captum

        with still(question.module):
            values = Captum(question.module).attribute(
                question.fresh, target=question.targets(), abs=not self.settings.signed
            )
        return Attribution(
            array(values),
            Baseline("the input itself, a little changed"),
            Error("none", 0.0, "the gradient is exact, and says nothing of changes that are not small"),
        )
