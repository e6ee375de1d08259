"""What training ends with, whichever way the model was found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from bessemer.train.automl.folds import Fold
    from bessemer.train.calibrate import Calibration
    from bessemer.train.learner import Fitted, Problem


@dataclass(frozen=True)
class Candidate:
    """A fitted model, its calibration, and its metric on the judging rows.

    learner: its name on the leaderboard. margin: (J, K') of the judging rows.
    fit_seconds, predict_microseconds: of the fit, and of predicting a row.
    """

    learner: str
    fitted: Fitted
    calibration: Calibration
    margin: np.ndarray
    value: float
    fit_seconds: float = 0.0
    predict_microseconds: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """The model to ship, what it was judged by, and what else was tried.

    y: (J,) the target of the judging rows.
    rows, score: (P, F) and (P, K') some rows and what the chosen model itself says of them, for the parity of its
        graph.
    leaderboard: a row for each candidate, the best first; see `leaderboard.py`.
    folds: numbers of rows (of train, then valid): what the candidates on the leaderboard learnt from, and were judged
        on.
    timings: what differs from run to run. `fits`: fit_seconds and predict_microseconds by learner; after AutoML
        also `used` seconds, and the seconds `needed` by those that were left out.
    """

    problem: Problem
    chosen: Candidate
    baselines: Mapping[str, Candidate]
    y: np.ndarray
    rows: np.ndarray
    score: np.ndarray
    leaderboard: list[dict[str, Any]]
    curves: Mapping[str, list[tuple[int, float]]]
    params: Mapping[str, Mapping[str, Any]]
    folds: tuple[Fold, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    timings: Mapping[str, Any] = field(default_factory=dict)
