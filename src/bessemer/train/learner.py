"""The protocol of a learner: rows in, a fitted model out that knows its own ONNX graph.

A *margin* is what a learner itself computes: the log-odds of the positive class (binary), one unnormalised
log-probability a class (multiclass), or the value (regression). Calibration turns margins into scores.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from bessemer.core.signature import Task
from bessemer.train.params import Param

if TYPE_CHECKING:
    import numpy as np

    from bessemer.train.metrics import Metric


@dataclass(frozen=True)
class Part:
    """Rows to learn from or to judge by.

    X: (N, F) float32, C order; NaN is missing. It may be mapped from disk: read it in blocks.
    y: (N,) float64: the index of the class, or the value.
    """

    X: np.ndarray
    y: np.ndarray

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True)
class Problem:
    """What is to be learnt.

    classes: how many classes; 0 for regression.
    metric: what the validation rows are judged by.
    weights: a weight for each class, or None.
    """

    task: Task
    classes: int
    metric: Metric
    weights: tuple[float, ...] | None = None

    @property
    def outputs(self) -> int:
        """K', the number of margins of a row: 1 for binary and regression, else the number of classes."""
        return self.classes if self.task == "multiclass" else 1

    def row_weights(self, y: np.ndarray) -> np.ndarray | None:
        """(N,) float64, or None where all rows count the same."""
        import numpy as np

        return None if self.weights is None else np.asarray(self.weights)[y.astype(np.int64)]


@dataclass(frozen=True)
class Callbacks:
    """How a learner reports, and what it may use of the machine.

    on_round: called with (curve name, step from 1, value) as training goes on.
    seed: a seed (31 bits) for a label; the same label gives the same seed in every run.
    workdir: a folder that outlives a killed run, for checkpoints. The next run with the same fingerprint finds it.
    fingerprint: names the data, settings and seed; a checkpoint with another one is not used.
    """

    on_round: Callable[[str, int, float], None]
    seed: Callable[[str], int]
    workdir: Path
    fingerprint: str
    threads: int = 2
    rounds: int = 2000
    early_stopping: int = 50
    checkpoint: int = 100


class Fitted(Protocol):
    """A trained model. `params` are all that were used; `curves` are {name: [(step, value)...]}."""

    params: Mapping[str, Any]
    iterations: int
    curves: Mapping[str, list[tuple[int, float]]]

    def margin(self, X: np.ndarray) -> np.ndarray:
        """(N, F) float32 -> (N, K') float64, computed by the learner's own library."""
        ...

    def contributions(self, X: np.ndarray) -> np.ndarray:
        """(N, F) float32 -> (N, K', F + 1) float64: a share of the margin for each feature, the last is the base."""
        ...

    def to_onnx(self) -> Any:
        """An ONNX model, `features` (N, F) float32 -> `score` (N, K') float32, equal to `margin`."""
        ...

    def native(self) -> tuple[str, bytes]:
        """A file name and its bytes: all that exact contributions need. Never code, never a pickle."""
        ...


class Learner(Protocol):
    """Something that learns. `NAME` is its name in the table; `PARAMS` is what `params` may say."""

    NAME: ClassVar[str]
    PARAMS: ClassVar[Mapping[str, Param]]

    def fit(
        self, problem: Problem, train: Part, valid: Part, params: Mapping[str, Any], callbacks: Callbacks
    ) -> Fitted:
        """Learn from `train`; `valid` is for early stopping only and may have no rows.

        The same arguments give the same bytes, also when a run was killed on the way and this one goes on.
        """
        ...
