"""A NeuralNetwork: layers of neurons, each connected to those before it.

https://dmg.org/pmml/v4-4-1/NeuralNetwork.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bessemer.importers.models.pmml.answer import Answer
from bessemer.importers.models.pmml.columns import numeric_of
from bessemer.importers.models.pmml.expressions import derived
from bessemer.importers.models.pmml.terms import Node, number
from bessemer.importers.models.pmml.xml import Element

if TYPE_CHECKING:
    from bessemer.importers.models.pmml.models import Reader
    from bessemer.importers.models.pmml.scope import Scope

ACTIVATIONS = (
    "logistic", "tanh", "identity", "exponential", "reciprocal", "square", "Gauss", "sine", "cosine", "Elliott",
    "arctan", "rectifier",
)  # fmt: skip
_MOST_WEIGHTS = 20_000_000


def network_answer(reader: Reader, model: Element, scope: Scope) -> Answer:
    """What a network says.

    Raises:
        FormatError: what cannot be kept exactly.
    """
    known: dict[str, Node] = {}
    for one in model.one("NeuralInputs").all("NeuralInput"):
        known[one.need("id")] = numeric_of(derived(one.one("DerivedField"), scope), one)
    left = _MOST_WEIGHTS
    for layer in model.all("NeuralLayer"):
        made, size = _layer(model, layer, known, left)
        left -= size
        for neuron, node in zip(layer.all("Neuron"), made, strict=True):
            known[neuron.need("id")] = node
    return _answer(model, known)


def _layer(model: Element, layer: Element, known: dict[str, Node], left: int) -> tuple[list[Node], int]:
    """The neurons of a layer, and how many weights they have."""
    neurons = layer.all("Neuron")
    if not neurons:
        layer.refuse("has no neurons")
    links = [{con.need("from"): con.number("weight") for con in neuron.all("Con")} for neuron in neurons]
    names = list(dict.fromkeys(name for link in links for name in link))
    missing = next((name for name in names if name not in known), None)
    if missing is not None:
        layer.refuse(f"asks for the neuron '{missing[:40]}', which does not come before it")
    size = len(names) * len(neurons)
    if not 0 < size <= left:
        layer.refuse(
            "has no connections, or too many", f"networks of up to {_MOST_WEIGHTS:,} weights are read"
        )
    kernel = np.array([[link.get(name, 0.0) for link in links] for name in names])
    bias = np.array([neuron.number("bias", 0.0) for neuron in neurons])
    said = layer if "activationFunction" in layer.attributes else model
    activation = said.choose("activationFunction", ACTIVATIONS, "")
    how = (layer if "normalizationMethod" in layer.attributes else model).choose(
        "normalizationMethod", ("none", "softmax", "simplemax"), "none"
    )
    whole = Node("layer", tuple(known[name] for name in names), (kernel, bias, activation))
    out = [Node("item", (whole,), i) for i in range(len(neurons))]
    if how == "softmax":
        return [Node("softmax", tuple(out), i) for i in range(len(out))], size
    if how == "simplemax":
        total = Node("+", tuple(out))
        return [Node("/", (one, total)) for one in out], size
    return out, size


def _answer(model: Element, known: dict[str, Node]) -> Answer:
    """What the outputs say: a number, scaled back, or the probability of the class that each is for."""
    outputs = model.one("NeuralOutputs").all("NeuralOutput")
    kind = model.choose("functionName", ("regression", "classification"), "")
    classes: dict[str, Node] = {}
    for one in outputs:
        name = one.need("outputNeuron")
        if name not in known:
            one.refuse(f"asks for the neuron '{name[:40]}', which there is not")
        said = one.one("DerivedField").one("NormDiscrete", "NormContinuous", "FieldRef")
        if kind == "classification":
            if said.tag != "NormDiscrete":
                one.refuse("is of no class")
            classes[said.need("value")] = known[name]
        elif len(outputs) == 1:
            return Answer(_scaled_back(said, known[name]))
    if len(classes) < 2:
        model.refuse("has outputs of fewer than two classes, or of several numbers")
    return Answer(None, classes)


def _scaled_back(said: Element, value: Node) -> Node:
    """The target of which an output is the scaled one."""
    if said.tag == "FieldRef":
        return value
    points = [(one.number("norm"), one.number("orig")) for one in said.all("LinearNorm")]
    if said.tag != "NormContinuous" or len(points) != 2 or points[0][0] == points[1][0]:
        said.refuse("scales the target by more than one line")
    (a, low), (b, high) = points
    slope = (high - low) / (b - a)
    return Node("+", (Node("*", (Node("+", (value, number(-a))), number(slope))), number(low)))
