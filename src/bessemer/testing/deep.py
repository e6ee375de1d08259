"""What every method for networks must keep. In a plug-in's own tests, with a network and some inputs:

from bessemer.explain.deep.question import Question
from bessemer.testing.deep import check_deep

def test_my_method(network, images):
    check_deep(MyMethod, MyMethod.Settings(), Question(network, images, target=3))
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from bessemer.explain.deep.plugins import DeepExplainer
    from bessemer.explain.deep.question import Attribution, Question


def check_deep(kind: type[DeepExplainer], settings: Any, question: Question) -> Attribution:
    """Explain, and hold the answer to the protocol; gives it back for more tests.

    It states its baseline and its error, is finite, comes out the same a second time, and leaves the network and the
    inputs as they were: weights, gradients, hooks, and the mode of each layer, here that of training.
    """
    given = question.inputs.clone()
    modes = {layer: layer.training for layer in question.module.modules()}
    question.module.train()
    before = _state(question)
    found = kind(settings).explain(question)
    assert _state(question) == before, "the network comes back as it was"
    for layer, training in modes.items():
        layer.training = training
    assert found.values.dtype == np.float64
    assert np.isfinite(found.values).all()
    assert found.baseline.text, "says what it is measured against"
    assert np.isfinite(found.baseline.value).all()
    assert found.error.measure, "names the measure of its error"
    assert found.error.text, "says what its error means"
    assert found.error.value is None or (np.isfinite(found.error.value) and found.error.value >= 0)
    assert json.loads(json.dumps(dict(found.details), allow_nan=False)) == dict(found.details), (
        "is plain JSON"
    )
    assert bool((question.inputs == given).all())
    assert question.inputs.grad is None
    again = kind(settings).explain(question)
    assert found.values.tobytes() == again.values.tobytes()
    assert (found.baseline, found.error, found.details) == (again.baseline, again.error, again.details)
    return found


def _state(question: Question) -> list[Any]:
    """All of a network that an explanation might change."""
    weights = [(name, value.tolist()) for name, value in question.module.state_dict().items()]
    needs = [(p.requires_grad, p.grad is None) for p in question.module.parameters()]
    layers = [
        (
            name,
            layer.training,
            len(layer._forward_hooks) + len(layer._forward_pre_hooks) + len(layer._backward_hooks),
            sorted(vars(layer)),
        )
        for name, layer in question.module.named_modules()
    ]
    return [weights, needs, layers]
