"""A requirement of a gate: an operator and a number, as '>= 0.70'."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator

_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
}
_REQUIREMENT = re.compile(
    r"\s*([<>=!~]+)?\s*([-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)\s*(%)?\s*"
)


def parse_requirement(text: str) -> tuple[str, float]:
    """The operator and the number of a gate.

    Raises:
        ValueError: it is no requirement; the text says how to mend it.

    >>> parse_requirement(">= 70%")
    ('>=', 0.7)
    """
    found = _REQUIREMENT.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a gate\nwrite an operator and a number, as '>= 0.70'")
    sign, number, percent = found.groups()
    if sign not in _COMPARE:
        what = f"{sign!r} is not an operator of a gate" if sign else f"{text!r} has no operator"
        raise ValueError(f"{what}\nwrite one of {', '.join(_COMPARE)}, as '>= {number}{percent or ''}'")
    return sign, float(number) / (100 if percent else 1)


def holds(text: str, value: float) -> bool:
    """Whether a value is as a requirement says; NaN never is.

    >>> holds(">= 70%", 0.71), holds("< 2", 2)
    (True, False)
    """
    sign, bound = parse_requirement(text)
    return _COMPARE[sign](value, bound)


def _checked(value: Any) -> str:
    text = value if isinstance(value, str) else str(value)
    parse_requirement(text)
    return text


Requirement = Annotated[str, BeforeValidator(_checked, json_schema_input_type=str)]


@dataclass(frozen=True)
class Gate:
    """The result of a gate. value: what was judged, None where there was nothing. why: what was found, in words."""

    gate: str
    required: str
    value: float | None
    passed: bool
    why: str
