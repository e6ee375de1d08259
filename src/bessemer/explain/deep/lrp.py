"""Layer-wise relevance propagation: the score, handed back layer by layer."""

from __future__ import annotations

import copy

from torch import nn

from bessemer.core.errors import UsageError
from bessemer.core.spec import Spec
from bessemer.explain.deep.question import Attribution, Question, array, still
from bessemer.explain.explanation import Baseline, Error


class LRP:
    """Each unit hands its relevance to those before it, by their share in it (the epsilon rule). values: the inputs'
    shape.

    A row's values sum to its score but for what biases keep; the error says how much that is.

    Source: Bach et al., "On pixel-wise explanations for non-linear classifier decisions by layer-wise relevance
    propagation", PLoS ONE 10 (2015).

    >>> import torch
    >>> network = torch.nn.Sequential(torch.nn.Linear(2, 1, bias=False), torch.nn.ReLU())
    >>> _ = torch.nn.init.constant_(network[0].weight, 3.0)
    >>> found = LRP(LRP.Settings()).explain(Question(network, torch.tensor([[1.0, 2.0]])))
    >>> found.values.round(2).tolist(), found.error.value < 1e-3
    ([[3.0, 6.0]], True)
    """

    class Settings(Spec):
        """It has none."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def explain(self, question: Question) -> Attribution:
        from bessemer.explain.deep.relevance import Relevance

        with still(question.module):
            targets = question.targets()
            network = copy.deepcopy(question.module)  # captum hangs rules on the layers
            if not list(network.children()):
                network = nn.Sequential(network)
            try:
                values = Relevance(network).attribute(question.fresh, target=targets)
            except (RuntimeError, TypeError) as error:
                raise UsageError(
                    "layer-wise relevance propagation cannot explain this network",
                    why=str(error).split("\n", 1)[0],
                    fix="it knows linear layers, convolutions, pools, batch norms, ReLU and tanh, each used once",
                ) from error
            kept = question.scores(question.inputs) - values.detach().flatten(1).sum(dim=1)
        return Attribution(
            array(values),
            Baseline("nothing: a row's values share out its score"),
            Error(
                "completeness gap",
                float(kept.abs().max()),
                "the worst difference of a row's values, added up, from its score: biases keep their share",
            ),
        )
