"""The base of everything a project file may say: strict, closed, documented."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict


class Spec(BaseModel):
    """A section of the project file. Unknown keys and wrong types are faults; every field has a description."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, validate_default=True)


def parse_share(value: Any) -> float:
    """A share between 0 and 1, from 0.2 or '20%'.

    >>> parse_share("20%"), parse_share(0.2)
    (0.2, 0.2)
    """
    if isinstance(value, str) and (found := re.fullmatch(r"\s*([0-9.]+)\s*%\s*", value)):
        value = float(found.group(1)) / 100
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{value!r} is not a share: write 20% or 0.2")
    if not 0 <= value <= 1:
        raise ValueError(f"{value} is not between 0 and 1: write 20% or 0.2")
    return float(value)


_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_duration(value: Any) -> float:
    """Seconds, from 90, '90s', '2m', '1h', '1d'.

    >>> parse_duration("2m"), parse_duration(90)
    (120.0, 90.0)
    """
    if isinstance(value, str) and (found := re.fullmatch(r"\s*([0-9.]+)\s*(ms|s|m|h|d)\s*", value)):
        return float(found.group(1)) * _UNITS[found.group(2)]
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise ValueError(f"{value!r} is not a duration: write 90s, 2m or 1h")
    return float(value)


_SIZES = {"": 1, "B": 1, "KB": 2**10, "MB": 2**20, "GB": 2**30}


def parse_size(value: Any) -> int:
    """Bytes, from 4096, '64 KB', '16MB' or '1GB' (of 1024 bytes a step).

    >>> parse_size("16MB"), parse_size(4096)
    (16777216, 4096)
    """
    if isinstance(value, str) and (found := re.fullmatch(r"\s*(\d+)\s*([KMG]?B)?\s*", value.upper())):
        value = int(found.group(1)) * _SIZES[found.group(2) or ""]
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{value!r} is not a size: write 65536, 64KB or 16MB")
    return value


Share = Annotated[float, BeforeValidator(parse_share, json_schema_input_type=float | str)]
Duration = Annotated[float, BeforeValidator(parse_duration, json_schema_input_type=float | str)]
Size = Annotated[int, BeforeValidator(parse_size, json_schema_input_type=int | str)]
