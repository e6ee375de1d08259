"""What is known before the stage runs: columns that explainers name and that are not there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bessemer.core.errors import Fault
from bessemer.core.plugin_settings import column_faults
from bessemer.explain.plugins import EXPLAINERS
from bessemer.explain.spec import ExplainSpec


def check_columns(spec: ExplainSpec, columns: Mapping[str, str], shared: Mapping[str, Any]) -> list[Fault]:
    """A fault for each column that the settings of an explainer name (`named`) and that is not there.

    Args:
        columns: name -> type of the landed data.
        shared: project-wide settings; not needed here.
    """
    return column_faults(spec.explainers, EXPLAINERS, columns, "explain.explainers")
