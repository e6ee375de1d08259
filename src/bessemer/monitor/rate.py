"""How often something happens, as the project file says it."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator

from bessemer.core.errors import did_you_mean

_PERIODS = {
    "hour": 3600.0,
    "day": 86_400.0,
    "week": 7 * 86_400.0,
    "month": 365.25 / 12 * 86_400.0,
    "year": 365.25 * 86_400.0,
}


def parse_rate(value: Any) -> float:
    """How often a second, from '1 per month'.

    >>> round(1 / parse_rate("1 per day")), round(1 / parse_rate("2 per hour"))
    (86400, 1800)
    """
    found = re.fullmatch(r"\s*([0-9.]+)\s*per\s*(\w+)\s*", value) if isinstance(value, str) else None
    if found is None:
        if isinstance(value, float) and value > 0:  # it was read before
            return value
        raise ValueError(f"{value!r} is not a rate: write 1 per month")
    number, period = found.groups()
    if period not in _PERIODS:
        raise ValueError(f"'{period}' is no period; {did_you_mean(period, _PERIODS)}")
    if (times := _number(number, value)) <= 0:
        raise ValueError(f"{value!r} never comes: write 1 per year for hardly ever")
    return times / _PERIODS[period]


def _number(text: str, value: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{value!r} is not a rate: '{text}' is no number; write 1 per month") from None


Rate = Annotated[float, BeforeValidator(parse_rate, json_schema_input_type=str)]
