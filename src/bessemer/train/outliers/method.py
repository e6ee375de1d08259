"""What a method of finding outliers is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from bessemer.core.spec import Spec


@dataclass(frozen=True)
class Judge:
    """What was fitted.

    graph: an ONNX model, `features` (N, F) float32 -> `score` (N, 1) float32, greater where a row is more unusual.
    score: the same by what it was made of, (N, F) float32 -> (N,) float64: the graph is held against it.
    """

    graph: Any
    score: Callable[[np.ndarray], np.ndarray]


class Method(Protocol):
    """Fits what tells unusual rows from usual ones. Settings: what the project file may say of it."""

    Settings: ClassVar[type[Spec]]

    def __init__(self, settings: Any) -> None: ...

    def fit(self, X: np.ndarray, seed: int) -> Judge:
        """Learn from features (N, F) float32, where NaN is missing; the same rows and seed give the same judge."""
