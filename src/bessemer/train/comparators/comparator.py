"""The protocol of a comparator: raw rows in, what it says of the judged ones out. No model comes with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

if TYPE_CHECKING:
    from bessemer.train.automl.folds import Fold
    from bessemer.train.learner import Problem


@dataclass(frozen=True)
class Contest:
    """The rows that our own candidates learnt from and were judged on. Rows are those of train, then valid.

    files: the raw rows, Parquet, one file after the other. columns: those that the model takes.
    y, weight: (N,) as in `Part`; weight has that of the class in it.
    folds: row numbers. One fold is a plain cut; several cover every row that any of them names, each learning from
        all rows that it does not judge.
    groups: (N,) a number for each row, where rows of a group must not be parted; or None.
    seconds: for all of it, wall clock. tick: called now and then with the seconds used.
    workdir: for everything that is written on the way; it goes with the run.
    """

    problem: Problem
    files: tuple[Path, ...]
    columns: tuple[str, ...]
    y: np.ndarray
    weight: np.ndarray | None
    folds: tuple[Fold, ...]
    groups: np.ndarray | None
    seconds: float
    seed: int
    threads: int
    memory: int
    workdir: Path
    tick: Callable[[float], None] = lambda seconds: None

    @property
    def judged(self) -> np.ndarray:
        """(J,) the numbers of the judged rows, in order."""
        return np.sort(np.concatenate([fold.judge for fold in self.folds]))


@dataclass(frozen=True)
class Answer:
    """What a comparator says of the judged rows.

    output: (J,) P(positive), (J, K) P of each class, or (J,) the values, each by a model that did not learn from the
        row unless the only fold does so.
    note: what the leaderboard says of it. params: further facts (versions, the kind of its best model).
    """

    output: np.ndarray
    fit_seconds: float
    predict_microseconds: float
    note: str
    params: Mapping[str, Any] = field(default_factory=dict)


class NoAnswer(Exception):
    """The comparison failed or did not end in time; the text says why. It never fails the run."""


class Comparator(Protocol):
    """Something to compare with.

    NAME: its name in the table.
    MONOTONE, QUANTILE: whether it can keep monotone constraints, and predict a quantile.
    """

    NAME: ClassVar[str]
    MONOTONE: ClassVar[bool]
    QUANTILE: ClassVar[bool]

    def check(self) -> None:
        """Raises EnvironmentFault where this machine lacks what the comparator needs. Takes no time worth naming."""
        ...

    def compare(self, contest: Contest) -> Answer:
        """Learn and predict within `contest.seconds`; nothing it starts or writes outlives the call.

        Raises:
            NoAnswer: it failed, or the time was too short.
        """
        ...
