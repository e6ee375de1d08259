"""The faults of `evaluate:` that show as soon as the columns are known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bessemer.core.errors import Fault, did_you_mean
from bessemer.evaluate.spec import EvaluateSpec


def check_columns(spec: EvaluateSpec, columns: Mapping[str, str], shared: Mapping[str, Any]) -> list[Fault]:
    """Every slice must be a column.

    Args:
        columns: name -> type of the landed data.
        shared: project-wide settings; not needed here.
    """
    return unknown_slices(spec, columns)


def unknown_slices(spec: EvaluateSpec, columns: Iterable[str]) -> list[Fault]:
    """A fault for each slice that is not one of the columns."""
    known = list(columns)
    return [
        Fault(f"evaluate.slices.{k}", None, f"no column '{name}'", did_you_mean(name, known))
        for k, name in enumerate(spec.slices)
        if name not in known
    ]
