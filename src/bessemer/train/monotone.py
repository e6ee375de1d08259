"""Which features may move the margin one way only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from bessemer.core.errors import Fault, ProjectError, did_you_mean

Direction = Literal["increasing", "decreasing"]


def directions(
    wanted: Mapping[str, Direction], features: Sequence[Mapping[str, Any]]
) -> tuple[int, ...] | None:
    """1, -1 or 0 for each feature; None where nothing is wanted.

    Raises:
        ProjectError: a column has no feature, or none that is its value.

    >>> features = [{"name": "age", "group": "age", "kind": "number"}]
    >>> directions({"age": "decreasing"}, features)
    (-1,)
    """
    if not wanted:
        return None
    numbers = {f["group"] for f in features if f["kind"] in ("number", "boolean")}
    faults = [
        Fault(
            f"train.monotone.{name}",
            None,
            f"'{name}' is no number that the model sees",
            did_you_mean(name, sorted(numbers)) or "only numbers and booleans can be constrained",
        )
        for name in wanted
        if name not in numbers
    ]
    if faults:
        raise ProjectError(faults)
    sign = {"increasing": 1, "decreasing": -1}
    return tuple(sign[wanted[f["group"]]] if f["group"] in wanted else 0 for f in features)
