"""Certificates held against attacks: what is certified cannot have fallen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bessemer.core.errors import BessemerError

#: What a certificate of the very answers that ship calls its curve, and an attack on them.
CERTIFIED, STANDING = "certified accuracy", "accuracy under attack"


class SoundnessError(BessemerError):
    """A certificate and an attack contradict each other, which only a defect of ours can bring about."""


def check_sound(found: Mapping[str, Mapping[str, Any]]) -> None:
    """Hold every certificate against every attack whose budgets are of the same unit, on the same rows.

    Args:
        found: of `robustness.json`, by the attack's name.

    Raises:
        SoundnessError: more is certified at a budget than stands at one that is no greater.

    >>> point = {"budget": 0.1, "value": 0.5}
    >>> check_sound({"interval": {"measure": CERTIFIED, "unit": "", "rows": 2, "curve": [point]}})
    """
    for name, certificate in _measuring(found, CERTIFIED):
        for other, attack in _measuring(found, STANDING):
            if (certificate["unit"], certificate["rows"]) == (attack["unit"], attack["rows"]):
                _check(name, certificate["curve"], other, attack["curve"])


def _measuring(
    found: Mapping[str, Mapping[str, Any]], measure: str
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    return ((name, one) for name, one in found.items() if one.get("measure") == measure)


def _check(name: str, certified: Any, other: str, standing: Any) -> None:
    for promise in certified:
        for point in standing:
            if point["budget"] <= promise["budget"] and promise["value"] > point["value"]:
                raise SoundnessError(
                    f"{name} certifies {promise['value']:.1%} of the rows at {promise['budget']:g}, and "
                    f"{other} leaves {point['value']:.1%} standing at {point['budget']:g}",
                    why="both cannot be true",
                    fix="this is a defect of Bessemer: please report it, and trust neither",
                )
