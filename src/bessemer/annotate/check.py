"""The faults of the target that show as soon as the columns are known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bessemer.annotate.spec import AnnotateSpec
from bessemer.core.errors import Fault, did_you_mean


def check_columns(spec: AnnotateSpec, columns: Mapping[str, str], shared: Mapping[str, Any]) -> list[Fault]:
    """The target must be a column.

    Args:
        columns: name -> type of the landed data.
        shared: project-wide settings.
    """
    target = shared["target"]
    if target in columns:
        return []
    return [Fault("target", None, f"no column '{target}' in the data", did_you_mean(target, columns))]
