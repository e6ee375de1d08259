"""DeepLIFT: differences from the baseline, handed back layer by layer."""

from __future__ import annotations

import copy
import warnings

from bessemer.core.errors import UsageError
from bessemer.core.spec import Spec
from bessemer.explain.deep.question import Attribution, Question, array, completeness, still


class DeepLIFT:
    """Contributions by the rescale rule: an activation passes on the slope of the line from what it is at the baseline
    to what it is at the input. values: the inputs' shape.

    A row's values sum to its score less that of the baseline where activations are layers of their own (`nn.ReLU`, not
    `torch.relu`), each used once. What it cannot see it takes for linear: the error shows that.

    Source: Shrikumar, Greenside and Kundaje, "Learning important features through propagating activation
    differences", ICML 2017.

    >>> import torch
    >>> network = torch.nn.Sequential(torch.nn.Linear(2, 1, bias=False), torch.nn.Mish())
    >>> _ = torch.nn.init.constant_(network[0].weight, 3.0)
    >>> found = DeepLIFT(DeepLIFT.Settings()).explain(Question(network, torch.tensor([[1.0, 2.0]])))
    >>> found.values.round(2).tolist(), found.error.value < 1e-5
    ([[3.0, 6.0]], True)
    """

    class Settings(Spec):
        """It has none."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def explain(self, question: Question) -> Attribution:
        from bessemer.explain.deep.rescale import Rescaled

        with still(question.module), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Setting forward, backward hooks", UserWarning)
            targets = question.targets()
            try:
                # A copy: captum leaves what it saw on the layers.
                values = Rescaled(copy.deepcopy(question.module)).attribute(
                    question.fresh, question.against, target=targets
                )
            except (RuntimeError, AssertionError) as error:
                raise UsageError(
                    "DeepLIFT cannot explain this network",
                    why=str(error).split("\n", 1)[0],
                    fix="use every activation layer once, or integrated_gradients",
                ) from error
            return Attribution(array(values), question.compared(), completeness(question, values))
