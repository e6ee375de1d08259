"""What of the section can be checked as soon as the data has landed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bessemer.core.errors import Fault
    from bessemer.train.spec import TrainSpec


def check_columns(spec: TrainSpec, columns: Mapping[str, str], shared: Mapping[str, Any]) -> list[Fault]:
    """No column can be at fault; but a comparator that cannot run here is told of now, not after the training.

    Raises:
        MissingExtra, EnvironmentFault: see `check_needs`.
    """
    if spec.compare:
        from bessemer.train.comparators.compare import check_needs

        check_needs(spec)
    return []
