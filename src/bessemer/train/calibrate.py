"""Whether and how margins become calibrated scores: `score = scale * margin + offset`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from bessemer.core.signature import Task
from bessemer.stats.calibration import binary_log_loss, fit_sigmoid, fit_temperature, multiclass_log_loss

_FOLDS = 5
#: Fewer validation rows than this cannot say whether calibration helps.
_FEWEST_ROWS = 100
#: The share of the log loss that calibration must save, so that noise alone does not bring it in.
_LEAST_GAIN = 1e-4


@dataclass(frozen=True)
class Calibration:
    """score = scale * margin + offset.

    >>> Calibration("sigmoid", 2.0, 1.0).score(np.array([[0.5]])).tolist()
    [[2.0]]
    """

    method: Literal["none", "sigmoid", "temperature"] = "none"
    scale: float = 1.0
    offset: float = 0.0

    def score(self, margin: np.ndarray) -> np.ndarray:
        return margin * self.scale + self.offset


def fit(task: Task, margin: np.ndarray, y: np.ndarray) -> Calibration:
    """Platt scaling for two classes, temperature scaling for more; numbers are float32, as in the graph.

    Margins that rank the classes the wrong way round are left as they are.
    """
    if task == "binary":
        a, b = (float(np.float32(v)) for v in fit_sigmoid(margin[:, 0], y))
        return Calibration("sigmoid", a, b) if a > 0 else Calibration()
    return Calibration("temperature", float(np.float32(1 / fit_temperature(margin, y))))


def choose(
    mode: Literal["auto", "none", "sigmoid"],
    task: Task,
    margin: np.ndarray,
    y: np.ndarray,
    rng: np.random.Generator,
) -> Calibration:
    """The calibration to ship.

    Args:
        mode: `sigmoid` always calibrates, `auto` where it lowers the cross-validated log loss.
        margin, y: the validation rows, (N, K') and (N,).
    """
    if mode == "none" or task == "regression" or len(y) == 0:
        return Calibration()
    if mode == "sigmoid" or helps(task, margin, y, rng):
        return fit(task, margin, y)
    return Calibration()


def helps(task: Task, margin: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> bool:
    """Whether calibrating on four fifths of the rows lowers the log loss on the last fifth, in turn."""
    if len(y) < _FEWEST_ROWS:
        return False
    fold = rng.permutation(len(y)) % _FOLDS
    score = np.empty_like(margin)
    for k in range(_FOLDS):
        here = fold == k
        score[here] = fit(task, margin[~here], y[~here]).score(margin[here])
    return _loss(task, score, y) < _loss(task, margin, y) * (1 - _LEAST_GAIN)


def _loss(task: Task, margin: np.ndarray, y: np.ndarray) -> float:
    return binary_log_loss(margin[:, 0], y) if task == "binary" else multiclass_log_loss(margin, y)
