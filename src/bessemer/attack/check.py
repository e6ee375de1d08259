"""What is known before the stage runs: columns that attacks name and that are not there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bessemer.attack.plugins import ATTACKS
from bessemer.attack.spec import AttackSpec
from bessemer.core.constraints import faults as constraint_faults
from bessemer.core.errors import Fault
from bessemer.core.plugin_settings import column_faults


def check_columns(spec: AttackSpec, columns: Mapping[str, str], shared: Mapping[str, Any]) -> list[Fault]:
    """A fault for each column that constraints or the settings of an attack (`named`) name and that is not there, and
    for what a column's type does not allow."""
    named = column_faults(spec.attacks, ATTACKS, columns, "attack.attacks")
    return [*constraint_faults(spec.constraints, columns, "attack.constraints"), *named]
