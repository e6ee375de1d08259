"""The protocol of a learner: rows in, a fitted model out that knows its own ONNX graph.

A *margin* is what a learner itself computes: the log-odds of the positive class (binary), one unnormalised
log-probability a class (multiclass), or the value (regression). Calibration turns margins into scores.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from bessemer.core.blocks import Block
from bessemer.core.further import Further
from bessemer.core.signature import Task
from bessemer.train.params import Param

if TYPE_CHECKING:
    import numpy as np

    from bessemer.train.certified.reach import Reach
    from bessemer.train.metrics import Metric


@dataclass(frozen=True)
class Part:
    """Rows to learn from or to judge by.

    X: (N, F) float32, C order; NaN is missing. It may be mapped from disk: read it in blocks.
    y: (N,) float64: the index of the class, or the value.
    weight: (N,) float64 above 0: how much a row counts; None where all count the same.
    further: (N, T) float64: of each further target the same as y, NaN where a row has none; None without any.
    """

    X: np.ndarray
    y: np.ndarray
    weight: np.ndarray | None = None
    further: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.y)

    def take(self, rows: np.ndarray) -> Part:
        """The rows of an index or a mask, in memory."""
        weight, further = (None if one is None else one[rows] for one in (self.weight, self.further))
        return Part(self.X[rows], self.y[rows], weight, further)


@dataclass(frozen=True)
class Problem:
    """What is to be learnt.

    classes: how many classes; 0 for regression.
    metric: what the validation rows are judged by.
    weights: a weight for each class, or None.
    monotone: for each feature 1 (the margin never falls as it grows), -1 (it never rises) or 0; None for no
        constraint at all. A learner whose `MONOTONE` is false is never given one.
    quantile: what a regression predicts: this quantile of the target, or its mean (None). A learner whose
        `QUANTILE` is false is never given one.
    blocks: features that mean something together (pixels, tokens); all others are a table's.
    further: targets that are learnt besides, by learners of several (`several.LEARNERS`); all else here is about the
        main one, and so is what a learner is judged by.
    shares: what the loss of each target counts, the main one's first.
    reach: where an attacker may move rows, for a learner that boosts what surely stands (`certified`); None for all
        others.
    """

    task: Task
    classes: int
    metric: Metric
    weights: tuple[float, ...] | None = None
    monotone: tuple[int, ...] | None = None
    quantile: float | None = None
    blocks: tuple[Block, ...] = ()
    further: tuple[Further, ...] = ()
    shares: tuple[float, ...] = (1.0,)
    reach: Reach | None = None

    @property
    def outputs(self) -> int:
        """K', the number of margins of a row: 1 for binary and regression, else the number of classes."""
        return self.classes if self.task == "multiclass" else 1

    @property
    def scores(self) -> tuple[str, ...]:
        """What a learner of several targets calls the outputs of its graph, the main one's first."""
        return ("score", *(f"score_{i}" for i in range(1, len(self.further) + 1)))

    def row_weights(self, part: Part) -> np.ndarray | None:
        """What each row counts, its own weight times that of its class: (N,) float64, or None for all the same."""
        import numpy as np

        if self.weights is None:
            return part.weight
        by_class: np.ndarray = np.asarray(self.weights)[part.y.astype(np.int64)]
        return by_class if part.weight is None else by_class * part.weight


@dataclass(frozen=True)
class Callbacks:
    """How a learner reports, and what it may use of the machine.

    on_round: called with (curve name, step from 1, value) as training goes on.
    seed: a seed (31 bits) for a label; the same label gives the same seed in every run.
    workdir: a folder that outlives a killed run, for checkpoints. The next run with the same fingerprint finds it.
    fingerprint: names the data, settings and seed; a checkpoint with another one is not used.
    time_left: seconds until the learner has to stop with what it has; asked after every round. A learner gives
        its best round so far then, which may be its first.
    note: called with a sentence for whoever reads the run's log.
    project_dir: the folder that paths among the parameters are relative to.
    """

    on_round: Callable[[str, int, float], None]
    seed: Callable[[str], int]
    workdir: Path
    fingerprint: str
    threads: int = 2
    rounds: int = 2000
    early_stopping: int = 50
    checkpoint: int = 100
    time_left: Callable[[], float] = lambda: math.inf
    note: Callable[[str], None] = lambda text: None
    project_dir: Path = Path()


@dataclass(frozen=True)
class Native:
    """What exact contributions need. Never code, never a pickle.

    kind: how `package.contributions` reads it.
    name: of the file in the package's `native` folder.
    """

    kind: str
    name: str
    content: bytes


class Fitted(Protocol):
    """A trained model. `params` are all that were used; `curves` are {name: [(step, value)...]}."""

    @property
    def params(self) -> Mapping[str, Any]: ...
    @property
    def iterations(self) -> int: ...
    @property
    def curves(self) -> Mapping[str, list[tuple[int, float]]]: ...

    def margin(self, X: np.ndarray) -> np.ndarray:
        """(N, F) float32 -> (N, K') float64, computed by the learner's own library."""
        ...

    def contributions(self, X: np.ndarray) -> np.ndarray:
        """(N, F) float32 -> (N, K', F + 1) float64: a share of the margin for each feature, the last is the base."""
        ...

    def to_onnx(self) -> Any:
        """An ONNX model, `features` (N, F) float32 -> `score` (N, K') float32, equal to `margin`."""
        ...

    def native(self) -> Native:
        """All that exact contributions need in production, where the learner's own library may be missing."""
        ...


class Learner(Protocol):
    """Something that learns.

    NAME: its name in the table.
    PARAMS: what `params` may say.
    MONOTONE, QUANTILE: whether it can keep monotone constraints, and predict a quantile.
    """

    NAME: ClassVar[str]
    PARAMS: ClassVar[Mapping[str, Param]]
    MONOTONE: ClassVar[bool]
    QUANTILE: ClassVar[bool]

    def fit(
        self, problem: Problem, train: Part, valid: Part, params: Mapping[str, Any], callbacks: Callbacks
    ) -> Fitted:
        """Learn from `train`; `valid` is for early stopping only and may have no rows.

        The same arguments give the same bytes, also when a run was killed on the way and this one goes on.
        """
        ...
