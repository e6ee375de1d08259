"""Gates: what was required, what was found, whether it passed and why."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from bessemer.core.requirement import Gate, holds
from bessemer.evaluate.compare import Figure, Versus
from bessemer.evaluate.fairness.partition import TIMES
from bessemer.evaluate.spec import Gates
from bessemer.stats.arrays import shown


def judge(
    gates: Gates,
    learner: str,
    metrics: Mapping[str, Figure],
    versus: Mapping[str, Versus],
    criteria: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[Gate]:
    """The results of all gates, in the order of the table.

    Args:
        learner: the shipped learner's name; it cannot be asked to beat itself.
        versus: by opponent; without 'champion' there is none.
        criteria: of fairness, by column and name.
    """
    found = [required(name, name, text, metrics[name]) for name, text in gates.requirements().items()]
    if gates.fairness is not None:
        both = gates.fairness.intersections
        judged = {column: own for column, own in (criteria or {}).items() if both or TIMES not in column}
        found += [_fair(name, text, judged) for name, text in gates.fairness.requirements().items()]
    return found + [_beats(name, learner, versus.get(name)) for name in gates.beats]


def required(gate: str, metric: str, text: str, figure: Figure) -> Gate:
    """The result of a gate that a metric has to pass."""
    if math.isnan(figure.value):
        why = f"{metric} is not defined on the test rows: they hold one class only, or a constant target"
        return Gate(gate, text, None, False, why)
    why = f"{metric} is {shown(figure.value)}{_between(figure.low, figure.high)}"
    return Gate(gate, text, figure.value, holds(text, figure.value), why)


def _fair(name: str, text: str, criteria: Mapping[str, Mapping[str, Any]]) -> Gate:
    """A gate of fairness, where it is worst. A column that cannot be judged fails; two together may lack rows."""
    gate, found = f"fairness {name}", {column: own[name] for column, own in criteria.items()}
    for column, own in found.items():
        if own["value"] is None and TIMES not in column:
            why = f"{name} is not defined for {column}: fewer than two of its groups have rows enough"
            return Gate(gate, text, None, False, why)
    judged = {column: own for column, own in found.items() if own["value"] is not None}
    worst = (min if text.strip().startswith(">") else max)(judged, key=lambda c: float(judged[c]["value"]))
    own = judged[worst]
    low, high = own["between"]
    size = f"{shown(own['value'])}{_between(own['low'], own['high'])}"
    why = f"{name} is {size} for {worst}, between {low} and {high}"
    return Gate(gate, text, own["value"], holds(text, own["value"]), why)


def _beats(opponent: str, learner: str, versus: Versus | None) -> Gate:
    gate = f"beats {opponent}"
    if opponent == learner:
        return Gate(
            gate, "is the baseline itself", 0.0, True, f"the shipped model is the {opponent} baseline itself"
        )
    if versus is None:
        return Gate(gate, "not worse than the champion", None, True, "there is no champion yet")
    certain = opponent == "constant"
    required = f"{'better' if certain else 'not worse'} than {opponent} on {versus.metric}"
    if math.isnan(versus.difference) or math.isnan(versus.low):
        why = f"{versus.metric} is not defined on enough of the test rows to compare"
        return Gate(gate, required, None, False, why)
    passed = versus.verdict == "better" if certain else versus.verdict != "worse"
    return Gate(gate, required, versus.difference, passed, _reason(opponent, versus))


def _reason(opponent: str, versus: Versus) -> str:
    words = {"better": "better than", "worse": "worse than", "tie": "not told apart from"}[versus.verdict]
    size = f"{shown(versus.difference)}{_between(versus.low, versus.high)}"
    return f"{words} {opponent}: {versus.metric} differs by {size}, above zero is better"


def _between(low: float, high: float) -> str:
    return "" if math.isnan(low) else f" [{shown(low)}, {shown(high)}]"
