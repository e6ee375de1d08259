"""A RegressionModel: sums of weighted fields, and what becomes of them.

https://dmg.org/pmml/v4-4-1/Regression.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bessemer.importers.models.pmml.answer import Answer
from bessemer.importers.models.pmml.columns import numeric_of
from bessemer.importers.models.pmml.expressions import indicator
from bessemer.importers.models.pmml.terms import Node, number
from bessemer.importers.models.pmml.xml import Element

if TYPE_CHECKING:
    from bessemer.importers.models.pmml.models import Reader
    from bessemer.importers.models.pmml.scope import Scope

_OF_NUMBERS = ("none", "softmax", "logit", "exp")
_OF_CLASSES = ("none", "simplemax", "softmax", "logit")


def regression_answer(reader: Reader, model: Element, scope: Scope) -> Answer:
    """What a regression says.

    Raises:
        FormatError: what cannot be kept exactly.
    """
    tables = model.all("RegressionTable")
    sums = [_sum(table, scope) for table in tables]
    kind = model.choose("functionName", ("regression", "classification"), "")
    if kind == "regression":
        if len(sums) != 1:
            model.refuse(f"has {len(sums)} tables for one number")
        how = model.choose("normalizationMethod", _OF_NUMBERS, "none")
        return Answer({"exp": _exp, "logit": sigmoid, "softmax": sigmoid}.get(how, _same)(sums[0]))
    names = [table.need("targetCategory") for table in tables]
    if len(set(names)) != len(names) or len(names) < 2:
        model.refuse(f"has tables for the classes {', '.join(names)[:80]}")
    how = model.choose("normalizationMethod", _OF_CLASSES, "none")
    return Answer(None, dict(zip(names, _probabilities(model, how, sums), strict=True)))


def _probabilities(model: Element, how: str, sums: list[Node]) -> list[Node]:
    """From sums to probabilities; of two classes without softmax, the second one is what the first one leaves."""
    if how in ("softmax", "simplemax"):
        parts = [_exp(one) for one in sums] if how == "softmax" else sums
        if how == "softmax":
            return [Node("softmax", tuple(sums), i) for i in range(len(sums))]
        total = Node("+", tuple(parts))
        return [Node("/", (part, total)) for part in parts]
    if how == "logit" and len(sums) > 2:
        model.refuse("turns three or more sums into probabilities by 'logit'", "which sum to anything")
    if len(sums) == 2:
        first = sigmoid(sums[0]) if how == "logit" else sums[0]
        return [first, complement(first)]
    return sums


def complement(node: Node) -> Node:
    """1 minus a probability."""
    if node.op == "sigmoid":
        return sigmoid(Node("*", (node.args[0], number(-1.0))))
    return Node("+", (Node("*", (node, number(-1.0))), number(1.0)))


def sigmoid(node: Node) -> Node:
    return Node("sigmoid", (node,))


def _exp(node: Node) -> Node:
    return Node("exp", (node,))


def _same(node: Node) -> Node:
    return node


def _sum(table: Element, scope: Scope) -> Node:
    """The intercept, and each field times its coefficient."""
    parts: list[Node] = []
    for one in table.children:
        if one.tag == "NumericPredictor":
            term = numeric_of(scope.term(one.need("name"), one), one)
            power = one.number("exponent", 1.0)
            parts.append(
                _times(Node("pow", (term, number(power))) if power != 1 else term, one.number("coefficient"))
            )
        elif one.tag == "CategoricalPredictor":
            found = indicator(one, scope.term(one.need("name"), one), one.need("value"), filled=True)
            parts.append(_times(found, one.number("coefficient")))
        elif one.tag == "PredictorTerm":
            fields = tuple(numeric_of(scope.term(ref.need("field"), ref), ref) for ref in one.all("FieldRef"))
            parts.append(_times(_product(fields), one.number("coefficient")))
        else:
            one.refuse("stands in a table of a regression, and is not taken over")
    intercept = table.number("intercept")
    if intercept != 0 or not parts:
        parts.append(number(intercept))
    return Node("total", tuple(parts)) if len(parts) > 1 else parts[0]


def _times(node: Node, factor: float) -> Node:
    return node if factor == 1 else Node("total", (node,), factor)


def _product(fields: tuple[Node, ...]) -> Node:
    found = fields[0]
    for one in fields[1:]:
        found = Node("*", (found, one))
    return found
