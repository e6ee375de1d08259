"""What a class counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from bessemer.core.errors import Fault, did_you_mean


def class_weights(
    wanted: Literal["none", "balanced"] | Mapping[Any, float],
    classes: Sequence[Any],
    y: np.ndarray,
    *,
    as_said: bool = False,
) -> tuple[float, ...] | None:
    """A weight for each class, such that the training rows weigh 1 on average; None where all count the same.

    `balanced` is N / (K * rows of the class), King and Zeng (2001). A class that is not named counts 1.
    as_said: named weights as they are, whatever rows there are.

    >>> class_weights("balanced", ["a", "b"], np.array([0.0, 0, 0, 1]))
    (0.6666666666666666, 2.0)
    """
    if wanted == "none" or not classes:
        return None
    counts = np.bincount(y.astype(np.int64), minlength=len(classes))
    if isinstance(wanted, Mapping):
        named = {_key(name): weight for name, weight in wanted.items()}
        weights = np.array([named.get(_key(c), 1.0) for c in classes], dtype=np.float64)
    else:
        weights = 1 / np.maximum(counts, 1)
    if as_said and wanted != "balanced":
        return tuple(float(w) for w in weights)
    mean = float(np.sum(weights * counts)) / max(1, len(y))
    return tuple(float(w) for w in weights / mean)


def weight_faults(wanted: Any, classes: Sequence[Any]) -> list[Fault]:
    """A fault for each named class that the target does not have."""
    if not isinstance(wanted, Mapping):
        return [] if wanted == "none" or classes else [_no_classes()]
    known = {_key(c): c for c in classes}
    if not classes:
        return [_no_classes()]
    return [
        Fault(
            f"train.class_weight.{name}",
            None,
            f"the target has no class {name!r}",
            did_you_mean(str(name), list(known)),
        )
        for name in wanted
        if _key(name) not in known
    ]


def _no_classes() -> Fault:
    return Fault("train.class_weight", None, "the target is a number and has no classes", "leave it out")


def _key(value: Any) -> str:
    """One text for a class, however YAML or JSON write it: 1 and 1.0, true and True."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).lower() if isinstance(value, bool) else str(value)
