"""Gates of the attacks: what a curve must keep to, at one budget or at all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

from pydantic import BeforeValidator

from bessemer.core.requirement import Gate, holds, parse_requirement
from bessemer.stats.arrays import shown


def parse_gate(text: str) -> tuple[str, float | None]:
    """The requirement of a gate, and the budget at which it must hold; None: at all that were tried.

    Raises:
        ValueError: it is no gate; the text says how to mend it.

    >>> parse_gate(">= 60% at 0.2")
    ('>= 60%', 0.2)
    """
    required, at, budget = text.partition(" at ")
    parse_requirement(required)
    if not at:
        return required, None
    try:
        return required.strip(), float(budget)
    except ValueError:
        raise ValueError(f"{budget!r} is no budget\nwrite a number, as '{required.strip()} at 0.1'") from None


def _checked(value: Any) -> str:
    parse_gate(str(value))
    return str(value)


AttackGate = Annotated[str, BeforeValidator(_checked, json_schema_input_type=str)]


def judge(gates: Mapping[str, str], found: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The results of all gates.

    Args:
        gates: by the attack's name. found: of `robustness.json`, by the attack's name.

    >>> curve = [{"budget": 0.1, "value": 0.8, "low": 0.7, "high": 0.9}]
    >>> judge({"pgd": ">= 0.6"}, {"pgd": {"measure": "accuracy under attack", "curve": curve}})[0]["passed"]
    True
    """
    return [asdict(_judged(name, text, found[name])) for name, text in gates.items()]


def _judged(name: str, text: str, found: Mapping[str, Any]) -> Gate:
    if "refused" in found:
        return Gate(name, text, None, False, f"{name} was left out: {found['refused']}")
    required, at = parse_gate(text)
    points = [point for point in found["curve"] if at is None or point["budget"] == at]
    if not points:
        tried = ", ".join(shown(p["budget"]) for p in found["curve"] if p["budget"] is not None)
        return Gate(
            name, text, None, False, f"{name} was not tried at {shown(at or 0)}; tried: {tried or 'none'}"
        )
    worst = (min if required.strip().startswith(">") else max)(
        points, key=lambda point: float(point["value"])
    )
    where = "" if worst["budget"] is None else f" at {shown(worst['budget'])}"
    between = f"[{shown(worst['low'])}, {shown(worst['high'])}]"
    why = f"{found['measure']} is {shown(worst['value'])} {between}{where}"
    return Gate(name, text, worst["value"], holds(required, worst["value"]), why)
