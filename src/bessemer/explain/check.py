"""What is known before the stage runs: columns that explainers name and that are not there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bessemer.core.errors import Fault, did_you_mean
from bessemer.explain.plugins import EXPLAINERS
from bessemer.explain.spec import ExplainSpec


def check_columns(spec: ExplainSpec, columns: Mapping[str, str], shared: Mapping[str, Any]) -> list[Fault]:
    """A fault for each column that the settings of an explainer name (`named`) and that is not there.

    Args:
        columns: name -> type of the landed data.
        shared: project-wide settings; not needed here.
    """
    faults = []
    for explainer, given in spec.explainers.items():
        settings = EXPLAINERS.load(explainer).Settings.model_validate(given)
        for name in dict.fromkeys(getattr(settings, "named", [])):
            if name not in columns:
                where = f"explain.explainers.{explainer}"
                faults.append(Fault(where, None, f"no column '{name}'", did_you_mean(name, columns)))
    return faults
