"""The faults of the target that show as soon as the columns are known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bessemer.annotate.spec import AnnotateSpec
from bessemer.core.errors import Fault, did_you_mean


def check_columns(spec: AnnotateSpec, columns: Mapping[str, str], shared: Mapping[str, Any]) -> list[Fault]:
    """The targets must be columns.

    Args:
        columns: name -> type of the landed data.
        shared: project-wide settings.
    """
    return [
        Fault("target", None, f"no column '{name}' in the data", did_you_mean(name, columns))
        for name in (shared["target"], *(name for name, _ in shared.get("further", ())))
        if name not in columns
    ]
