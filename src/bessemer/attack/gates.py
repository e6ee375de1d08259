"""Gates of the attacks: what a curve must keep to, at one budget or at all of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any

from pydantic import BeforeValidator

from bessemer.core.requirement import Gate, holds, parse_requirement
from bessemer.stats.arrays import shown

#: Where the area stands among the points of a curve of shares: at no budget.
AREA = "area"


def parse_gate(text: str) -> tuple[str, float | str | None]:
    """The requirement of a gate, and where it must hold: at a budget, at `AREA`, or at all budgets that were tried
    (None).

    Raises:
        ValueError: it is no gate; the text says how to mend it.

    >>> parse_gate(">= 60% at 0.2"), parse_gate("<= 5% at 1%"), parse_gate("<= 0.6 at area")
    (('>= 60%', 0.2), ('<= 5%', 0.01), ('<= 0.6', 'area'))
    """
    required, at, budget = text.partition(" at ")
    parse_requirement(required)
    if not at:
        return required, None
    return required.strip(), AREA if budget.strip() == AREA else _budget(required.strip(), budget.strip())


def _budget(required: str, text: str) -> float:
    number, percent = text.removesuffix("%"), text.endswith("%")
    try:
        value = float(number) / (100 if percent else 1)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(
            f"{text!r} is no budget\nwrite a number, as '{required} at 0.1' or '{required} at 1%'"
        )
    return value


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
    points = _points(found["curve"], at)
    if not points:
        tried = ", ".join(AREA if p["budget"] is None else shown(p["budget"]) for p in found["curve"])
        where = at if isinstance(at, str) else shown(at or 0)
        return Gate(name, text, None, False, f"{name} was not tried at {where}; tried: {tried or 'none'}")
    least = required.strip().startswith(">")
    judged = "high" if found.get("kind") == "privacy" and not least else "value"
    worst = (min if least else max)(points, key=lambda point: float(point[judged]))
    return Gate(
        name, text, worst[judged], holds(required, worst[judged]), _why(found["measure"], worst, judged)
    )


def _points(curve: Sequence[Mapping[str, Any]], at: float | str | None) -> list[Mapping[str, Any]]:
    """The points that a gate is of; the area is no share and is asked for by its name."""
    if at == AREA:
        return [point for point in curve if point["budget"] is None]
    budgets = [point for point in curve if point["budget"] is not None]
    if at is None:
        return budgets or list(curve)
    return [point for point in budgets if math.isclose(point["budget"], float(at), rel_tol=1e-9)]


def _why(measure: str, point: Mapping[str, Any], judged: str) -> str:
    """What was found. How much is given away is judged by the most that it may be, which few rows do not tell."""
    what = f"{measure}: the area" if point["budget"] is None else measure
    where = "" if point["budget"] is None else f" at {shown(point['budget'])}"
    between = f"[{shown(point['low'])}, {shown(point['high'])}]"
    end = ", judged by its upper end" if judged == "high" else ""
    return f"{what} is {shown(point['value'])} {between}{where}{end}"
