"""The model card (Mitchell et al. 2019, "Model Cards for Model Reporting"), written from the artifacts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bessemer.core.signature import Field, Signature

_SHOWN = 40


def model_card(
    *,
    name: str,
    version: str,
    description: str,
    signature: Signature,
    model_json: Mapping[str, Any],
    evaluation: Mapping[str, Any],
    explanations: Mapping[str, Any],
    explainer: Mapping[str, Any],
    splits: Mapping[str, Any],
    parity: Mapping[str, Any],
    gates_ignored: bool,
) -> str:
    """The card as Markdown; an artifact that a run did not make is an empty mapping, and so is `parity` before it.

    splits: the `meta` of the splits artifact.
    """
    parts = [
        f"# {_text(name)} {_text(version)}",
        description.strip(),
        _model(signature, model_json),
        _gates(evaluation, gates_ignored),
        _metrics(evaluation),
        *(_further(name, own, evaluation) for name, own in evaluation.get("further", {}).items()),
        _slices(evaluation),
        _fairness(evaluation.get("fairness") or {}),
        _importance(explanations),
        _data(splits),
        _inputs(signature.inputs),
        _limits(signature, evaluation, parity, explainer),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _text(value: Any) -> str:
    """A value within a Markdown table or line: nothing in it is taken for markup."""
    plain = " ".join(str(value).split())
    for mark in "\\`*_[]<>|#":
        plain = plain.replace(mark, "\\" + mark)
    return plain


def _number(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "-" if value is None else _text(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _interval(figure: Mapping[str, Any]) -> str:
    if figure.get("low") is None:
        return "-"
    return f"{_number(figure['low'])} to {_number(figure['high'])}"


def _model(signature: Signature, info: Mapping[str, Any]) -> str:
    lines = [
        f"- Task: {signature.task} of {_text(signature.target)}",
        f"- Learner: {_text(info.get('learner', ''))}, {_number(info.get('iterations'))} iterations",
        f"- Features: {len(info.get('features', []))} from {len(signature.inputs)} inputs",
        f"- Calibration: {_text((info.get('calibration') or {}).get('method', 'none'))}",
    ]
    for one in signature.further:
        classes = f": {', '.join(_text(c) for c in one.classes[:_SHOWN])}" if one.classes else ""
        lines.append(f"- Also predicts: {_text(one.name)} ({one.task}{classes})")
    if judge := info.get("outliers"):
        held = _number(judge.get("held_out"))
        lines.append(f"- Outliers: {_text(judge.get('method'))}, ranked among {held} rows that were held out")
    if private := info.get("private"):
        lines += _private(private)
    if signature.classes:
        shown = ", ".join(_text(c) for c in signature.classes[:_SHOWN])
        lines.insert(1, f"- Classes: {shown}")
        if signature.task == "binary":
            lines.insert(2, f"- `probability` is that of: {_text(signature.classes[1])}")
            lines.insert(3, f"- It is said from a probability of: {_decision(info.get('decision'))}")
            if info.get("reweigh"):
                columns = _text(" and ".join(info["reweigh"]))
                lines.append(
                    f"- Training rows were weighed so that {columns} and the classes are independent"
                )
    return "## Model\n\n" + "\n".join(lines)


def _private(promised: Mapping[str, Any]) -> list[str]:
    """What private training promises, and what that does not cover."""
    return [
        f"- Differentially private: epsilon {_number(promised.get('epsilon'))} at delta "
        f"{promised.get('delta', 0.0):g}, for {_text(promised.get('covers', ''))} "
        f"({_text(promised.get('accountant', ''))} accountant, {_text(promised.get('sampling', ''))} sampling of "
        f"{promised.get('sample_rate', 0.0):.2%} in each of {_number(promised.get('steps'))} steps; "
        "noise of a secret that its maker keeps: who has that can take the noise away)",
        f"- Not covered by it: {_text('; '.join(promised.get('beyond', [])))}",
        "- Epsilons of all models that learnt from the same rows add up.",
    ]


def _gates(evaluation: Mapping[str, Any], ignored: bool) -> str:
    gates = evaluation.get("gates", [])
    if not gates:
        return "**The failed evaluation was ignored on request.**" if ignored else ""
    rows = [
        [_text(g["gate"]), _text(g["required"]), "passed" if g["passed"] else "**failed**", _text(g["why"])]
        for g in gates
    ]
    warning = (
        "**This model failed a gate and was packaged on request (`ignore_gates`).**\n\n" if ignored else ""
    )
    return "## Gates\n\n" + warning + _table(["gate", "required", "result", "why"], rows)


def _metrics(evaluation: Mapping[str, Any]) -> str:
    if not evaluation.get("metrics"):
        return ""
    said = f"Measured on test rows that training never saw: {_number(evaluation.get('rows'))}."
    return f"## Metrics\n\n{said}\n\n{_figures(evaluation, _between(evaluation))}"


def _between(evaluation: Mapping[str, Any]) -> str:
    share = evaluation.get("confidence")
    return f"{share:.0%} interval" if isinstance(share, float) else "interval"


def _further(name: str, own: Mapping[str, Any], evaluation: Mapping[str, Any]) -> str:
    """The metrics of a target beside the main one."""
    few = ", too few for intervals" if own.get("too_small") else ""
    said = f"Measured on the test rows that have it: {_number(own['rows'])}{few}."
    table = _figures(own, _between(evaluation)) if own["metrics"] else ""
    return f"## Metrics of {_text(name)} ({own['task']})\n\n{said}\n\n{table}".rstrip()


def _figures(judged: Mapping[str, Any], between: str) -> str:
    """Metrics with their intervals, beside those of the baselines."""
    baselines = judged.get("baselines", {})
    rows = [
        [_text(name), _number(figure["value"]), _interval(figure)]
        + [_number(values.get(name)) for values in baselines.values()]
        for name, figure in judged["metrics"].items()
    ]
    return _table(["metric", "value", between, *(f"{_text(name)} baseline" for name in baselines)], rows)


def _slices(evaluation: Mapping[str, Any]) -> str:
    primary = evaluation.get("metric", "")
    rows = []
    for column, parts in evaluation.get("slices", {}).items():
        for part in parts:
            if figure := part.get("metrics", {}).get(primary):
                cells = [_text(column), _text(part["value"]), _number(part["rows"])]
                rows.append([*cells, _number(figure["value"]), _interval(figure)])
    if not rows:
        return ""
    head = ["column", "value", "rows", _text(primary), "interval"]
    more = f"\n\nand {len(rows) - _SHOWN} more slices" if len(rows) > _SHOWN else ""
    return f"## Slices\n\n{_table(head, rows[:_SHOWN])}{more}"


def _fairness(fairness: Mapping[str, Any]) -> str:
    """The criteria of every column of groups, as far as they could be judged."""
    rows = [
        [
            _text(column),
            _text(name),
            _number(one["value"]),
            _interval(one),
            _text(" and ".join(one["between"])),
        ]
        for column, criteria in fairness.get("criteria", {}).items()
        for name, one in criteria.items()
        if one.get("value") is not None
    ]
    if not rows:
        return ""
    favourable = fairness.get("favourable")
    said = "Between the two groups that differ most."
    if favourable is not None:
        said += f" The favourable outcome is {_text(favourable)}."
    more = f"\n\nand {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else ""
    head = ["groups", "criterion", "value", "interval", "between"]
    return f"## Fairness\n\n{said}\n\n{_table(head, rows[:_SHOWN])}{more}"


def _decision(decision: Mapping[str, Any] | None) -> str:
    """From which probability on the model says positive."""
    if not decision:
        return "0.5"
    said = _number(decision["threshold"])
    if decision["groups"]:
        columns = _text(" and ".join(one["column"] for one in decision["groups"]))
        said = f"a threshold for each group of {columns}, {said} for all others"
    if decision["objective"]:
        said += f" (chosen for {_text(decision['objective'].replace('_', ' '))} on validation rows)"
    return said


def _importance(explanations: Mapping[str, Any]) -> str:
    found = ((explanations.get("found") or {}).get("permutation") or {}).get("content", {}).get("rows", [])
    if not found:
        return ""
    rows = [[_text(f["group"]), _number(f["value"]), _interval(f)] for f in found[:15]]
    said = "The loss in the metric when a column is shuffled (Breiman 2001)."
    return f"## What it relies on\n\n{said}\n\n{_table(['column', 'importance', 'interval'], rows)}"


def _data(splits: Mapping[str, Any]) -> str:
    if not splits.get("rows"):
        return ""
    rows = [[_text(part), _number(count)] for part, count in splits["rows"].items()]
    return f"## Data\n\nSplit: {_text(splits.get('method', ''))}\n\n{_table(['part', 'rows'], rows)}"


def _domain(field: Field) -> str:
    if "categories" in field.domain:
        known = list(field.domain["categories"])
        more = f" and {len(known) - 8} more" if len(known) > 8 else ""
        return ", ".join(_text(value) for value in known[:8]) + more
    if field.domain.get("min") is not None:
        return f"{_number(field.domain['min'])} to {_number(field.domain.get('max'))}"
    return ""


def _inputs(inputs: Sequence[Field]) -> str:
    rows = [
        [_text(f.name), f.dtype, "may be missing" if f.nullable else "", _domain(f)]
        for f in inputs[: _SHOWN * 5]
    ]
    more = f"\n\nand {len(inputs) - len(rows)} more" if len(inputs) > len(rows) else ""
    return f"## Inputs\n\n{_table(['column', 'type', '', 'seen in training'], rows)}{more}"


def _limits(
    signature: Signature,
    evaluation: Mapping[str, Any],
    parity: Mapping[str, Any],
    explainer: Mapping[str, Any],
) -> str:
    classes = signature.task != "regression"
    flips = f", {_number(parity.get('label_flips'))} labels differ" if classes else ""
    lines = [
        "- It was fitted to the data above and says nothing about a population that differs from it.",
        "- Values outside the ranges above were not seen in training.",
        "- Intervals are of sampling alone; they do not cover a change of the data over time.",
    ]
    if parity:
        lines.append(
            f"- Graph and trained model agree on {_number(parity.get('rows'))} test rows: worst difference of the "
            f"score {parity.get('worst_score_difference', 0.0):.2g}{flips}."
        )
    if classes:
        lines.append("- Probabilities are estimates: look at the calibration curve before relying on them.")
    if rows := (explainer.get("attribution") or {}).get("background"):
        lines.append(
            f"- {_number(rows['rows'])} training rows travel in the package: predictions are explained against them."
        )
    if not evaluation.get("slices"):
        lines.append("- No slices were asked for: how it does for parts of the population is not known.")
    return "## Limits\n\n" + "\n".join(lines)
