"""The models of a document: what each says of a row, as terms.

https://dmg.org/pmml/v4-4-1/MultipleModels.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bessemer.importers.models.pmml.answer import Answer
from bessemer.importers.models.pmml.expressions import EXPRESSIONS, expression, typed
from bessemer.importers.models.pmml.grow import Registry
from bessemer.importers.models.pmml.network import network_answer
from bessemer.importers.models.pmml.predicates import Always, Predicates
from bessemer.importers.models.pmml.regression import regression_answer
from bessemer.importers.models.pmml.scope import Scope
from bessemer.importers.models.pmml.terms import Node, Term, number
from bessemer.importers.models.pmml.trees import Leaves, tree_answer, voting
from bessemer.importers.models.pmml.xml import Element

_COMBINED = (
    "sum", "average", "weightedAverage", "weightedSum", "x-weightedSum", "majorityVote", "weightedMajorityVote",
    "modelChain", "selectFirst",
)  # fmt: skip
_TREATED = ("continue", "returnMissing")


@dataclass
class Reader:
    """Reads models.

    registry: the features of all of them. notes: what is worth saying.
    """

    registry: Registry = field(default_factory=Registry)
    notes: dict[str, None] = field(default_factory=dict)

    def note(self, text: str) -> None:
        self.notes[text] = None

    def read(self, model: Element, scope: Scope) -> Answer:
        """What a model says, in the scope of its fields.

        Raises:
            FormatError: what cannot be kept exactly.
        """
        answer = _rescaled(model, READERS[model.tag](self, model, scope))
        for output in _outputs(model):
            self._output(output, answer, scope)
        return answer

    def _output(self, output: Element, answer: Answer, scope: Scope) -> None:
        """Give what a model says a name; what nobody asks for may be anything."""
        feature = output.get("feature", "predictedValue")
        term: Term | None = None
        if feature == "predictedValue":
            term = answer.value
        elif feature == "probability":
            term = answer.classes.get(output.get("value"))
        elif feature == "transformedValue" and answer.value is not None:
            term = typed(
                expression(output.one(*EXPRESSIONS), scope), output.get("dataType", "double"), output
            )
        if term is not None:
            scope.add(output.need("name"), term)


def _outputs(model: Element) -> list[Element]:
    found = model.first("Output")
    return [] if found is None else found.all("OutputField")


def _rescaled(model: Element, answer: Answer) -> Answer:
    """What a model says after its Targets."""
    targets = model.first("Targets")
    _check_values([] if targets is None else targets.all("Target"))
    for target in [] if targets is None else targets.all("Target"):
        if answer.value is None:
            if {"rescaleConstant", "rescaleFactor", "castInteger", "min", "max"} & set(target.attributes):
                target.refuse("rescales a class")
            continue
        value = answer.value
        for name, end in (("min", "max"), ("max", "min")):
            if name in target.attributes:
                value = Node(end, (value, number(target.number(name))))
        factor, constant = target.number("rescaleFactor", 1.0), target.number("rescaleConstant", 0.0)
        if factor != 1:
            value = Node("total", (value,), factor)
        if constant != 0:
            value = Node("total", (value, number(constant)))
        if "castInteger" in target.attributes:
            kind = target.choose("castInteger", ("round", "ceiling", "floor"), "round")
            value = Node({"ceiling": "ceil"}.get(kind, kind), (value,))
        answer = Answer(value)
    return answer


def _check_values(targets: Sequence[Element]) -> None:
    """See that no target has an answer of its own for rows to which the model has none."""
    for one in (value for target in targets for value in target.all("TargetValue")):
        if {"defaultValue", "priorProbability"} & set(one.attributes):
            one.refuse("says what is answered where the model has no answer", "which a package does not")


def _mining(reader: Reader, model: Element, scope: Scope) -> Answer:
    """Several models as one."""
    segmentation = model.one("Segmentation")
    method = segmentation.choose("multipleModelMethod", _COMBINED, "")
    segments = _segments(segmentation, scope)
    treatment = segmentation.choose("missingPredictionTreatment", _TREATED, "continue")
    if segmentation.number("missingThreshold", 1.0) != 1:
        segmentation.refuse("says how many models may have no answer", "that is missingThreshold")
    if not segments:
        segmentation.refuse("has no model")
    if method in ("modelChain", "selectFirst"):
        return _chain(reader, segments if method == "modelChain" else segments[:1], scope)
    said = [(segment.number("weight", 1.0), _inner(reader, segment, scope)) for segment in segments]
    weighted = "weight" in method.lower()
    weights = [weight if weighted else 1.0 for weight, _ in said]
    answers = [answer for _, answer in said]
    if method.endswith("Vote"):
        whole = treatment == "returnMissing"
        names = list(dict.fromkeys(name for answer in answers for name in answer.classes))
        answers = [_vote(*one, names, whole) for one in zip(segments, answers, strict=True)]
    total = 1.0 if method in ("sum", "weightedSum", "x-weightedSum") else sum(weights)
    if total <= 0:
        segmentation.refuse("has weights whose sum is not above 0")
    if all(answer.value is not None for answer in answers):
        return Answer(_sum([a.value for a in answers if a.value is not None], [w / total for w in weights]))
    names = list(answers[0].classes)
    if method == "sum" or not names or any(set(a.classes) != set(names) for a in answers):
        segmentation.refuse(f"combines classes by '{method}', or models of different classes")
    shares = [w / total for w in weights]
    sums = {name: _sum([a.classes[name] for a in answers], shares) for name in names}
    return Answer(None, {name: Node("total", (one,)) for name, one in sums.items()})


def _segments(segmentation: Element, scope: Scope) -> list[Element]:
    """The segments that count for every row.

    Raises:
        FormatError: one that counts for some rows alone.
    """
    found = []
    for segment in segmentation.all("Segment"):
        test = Predicates(scope).of(segment)
        if not isinstance(test, Always):
            segment.refuse("counts for some rows alone")
        if test.answer:
            found.append(segment)
    return found


def _inner(reader: Reader, segment: Element, scope: Scope) -> Answer:
    model = segment.one(*READERS)
    inside = scope.inside(model)
    answer = reader.read(model, inside)
    for output in _outputs(model):
        name = output.need("name")
        if inside.has(name):
            scope.add(name, inside.term(name, output))
    return answer


def _chain(reader: Reader, segments: list[Element], scope: Scope) -> Answer:
    """Each model may ask for what those before it said; the last one answers."""
    answer = Answer()
    for segment in segments:
        answer = _inner(reader, segment, scope)
    return answer


def _vote(segment: Element, answer: Answer, names: Sequence[str], whole: bool) -> Answer:
    """A model's vote, for the class that its nodes name. whole: whether there is no answer where one has none."""
    nodes = list(answer.classes.values())
    if not nodes or any(node.op != "tree" for node in nodes):
        segment.refuse("votes for a class, and is no tree")
    leaves: Leaves = nodes[0].value
    if leaves.partial and not whole:
        segment.refuse(
            "has no answer to some rows, in which the others vote without it",
            fix="say missingPredictionTreatment='returnMissing' in its Segmentation: such rows have no answer then",
        )
    votes = {name: voting(leaves, name, names) for name in names}
    return Answer(None, {name: Node("tree", (), vote) for name, vote in votes.items()})


def _sum(values: list[Node], weights: list[float]) -> Node:
    parts = tuple(
        value if weight == 1 else Node("total", (value,), weight)
        for value, weight in zip(values, weights, strict=True)
    )
    return Node("total", parts) if len(parts) > 1 else parts[0]


READERS: Mapping[str, Callable[[Reader, Element, Scope], Answer]] = {
    "TreeModel": tree_answer,
    "RegressionModel": regression_answer,
    "MiningModel": _mining,
    "NeuralNetwork": network_answer,
}
