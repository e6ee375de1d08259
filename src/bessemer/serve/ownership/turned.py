"""Scores that say another class, and their probabilities as the graph itself would give them.

Probabilities are float32, and each runtime rounds them in its own way: what is computed otherwise is told by the last
bits. So they are made by the nodes of the very graph that answers.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from bessemer.core.errors import UsageError

Floats32 = npt.NDArray[np.float32]
#: (n, K') scores of a graph -> (n, K) probabilities.
Head = Callable[[Floats32], Floats32]

#: How often a score is moved on until it says the other class, by twice as much each time from `_FIRST` of its size.
_TRIES, _FIRST = 40, 1e-6


def head_of(graph: bytes, name: str) -> Head:
    """What a graph (`model.onnx`) makes of its scores.

    Raises:
        UsageError: its probabilities do not follow from its score.
    """
    from bessemer.package.cut import behind
    from bessemer.package.onnx_format import parse, serialize
    from bessemer.package.runtime import open_session

    part = behind(parse(graph), "score", ["probability"])
    if part is None:
        raise UsageError(
            f"the answers of '{name}' cannot be marked by `serve: ownership`",
            why="its probabilities do not follow from its score, so an answer that was altered could be told",
            fix="take out `ownership`, or serve this model from another server",
        )
    session = open_session(serialize(part), 1)

    def head(scores: Floats32) -> Floats32:
        found: Floats32 = session.run(["probability"], {"score": np.ascontiguousarray(scores)})[0]
        return found

    return head


def turned(
    head: Head,
    scores: Floats32,
    own: npt.NDArray[np.int64],
    wrong: npt.NDArray[np.int64],
    least: float,
    most: float,
) -> tuple[Floats32, Floats32]:
    """Scores (n, K') that say the classes `wrong` (n,) and not `own` (n,), and their probabilities (n, K).

    Of two classes the score is reflected at the logit of the threshold, so that it is beyond `least` and `most`, the
    first and last of all thresholds; of several the two classes change places.
    """
    two = scores.shape[1] == 1
    made = _reflected(scores, wrong, least, most) if two else _swapped(scores, own, wrong)
    rows, column = np.arange(len(made)), np.zeros_like(wrong) if two else wrong
    way = np.where(wrong == 1, 1.0, -1.0) if two else np.ones(len(made))
    start, by = made[rows, column].astype(np.float64), _FIRST
    for _ in range(_TRIES):
        probability = head(made)
        late = ~(_beyond(probability, wrong, least, most) if two else _first(probability, wrong))
        if not late.any():
            break
        made[rows[late], column[late]] = (start + way * by * (1 + np.abs(start)))[late]
        by *= 2
    return made, probability


def _reflected(scores: Floats32, wrong: npt.NDArray[np.int64], least: float, most: float) -> Floats32:
    at = np.where(wrong == 1, _logit(most), _logit(least))[:, None]
    known = np.where(np.isnan(scores), 0.0, scores.astype(np.float64))
    found: Floats32 = (2 * at - known).astype(np.float32)
    return found


def _swapped(scores: Floats32, own: npt.NDArray[np.int64], wrong: npt.NDArray[np.int64]) -> Floats32:
    rows, found = np.arange(len(scores)), scores.copy()
    found[rows, own], found[rows, wrong] = scores[rows, wrong], scores[rows, own]
    return found


def _beyond(
    probability: Floats32, wrong: npt.NDArray[np.int64], least: float, most: float
) -> npt.NDArray[np.bool_]:
    second = probability[:, 1]
    return np.where(wrong == 1, second > np.float32(most), second < np.float32(least))


def _first(probability: Floats32, wrong: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_] = probability.argmax(axis=1) == wrong
    return found


def _logit(probability: float) -> float:
    inside = min(max(probability, 1e-7), 1 - 1e-7)
    return math.log(inside / (1 - inside))
