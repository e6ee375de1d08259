"""Whether the network can learn one small batch by heart: where it cannot, training on all rows is a waste."""

from __future__ import annotations

import copy
import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bessemer.core.errors import UsageError
from bessemer.train.networks.batch import Batch, Labels, Loss
from bessemer.train.networks.dropout import seed_dropout
from bessemer.train.networks.feed import Feed
from bessemer.train.networks.net import Net
from bessemer.train.networks.objective import NoSettings, Plain, Plan
from bessemer.train.networks.step import Stepper

_ROWS, _STEPS = 32, 300
#: So much of the loss must be gone.
_GONE = 0.75


@dataclass(frozen=True)
class Overfit:
    """rows: of the batch. steps: until the loss had fallen far enough, or steps or time were over. rate: of learning.
    losses: of the steps.
    """

    rows: int
    steps: int
    rate: float
    losses: tuple[float, ...]

    @property
    def learnt(self) -> bool:
        return not self.rows or min(self.losses) <= (1 - _GONE) * self.losses[0]

    def __str__(self) -> str:
        if not self.rows:
            return (
                "self-check: no two training rows differ in features and target, so there is nothing to learn"
            )
        said = "learnt" if self.learnt else "did not learn"
        return (
            f"self-check: the network {said} {self.rows} rows by heart, "
            f"loss {self.losses[0]:.3g} -> {min(self.losses):.3g} in {self.steps} steps"
        )

    def demand(self) -> None:
        """Raises UsageError where the rows were not learnt."""
        if not self.learnt:
            raise UsageError(
                str(self),
                why=f"with learning_rate {self.rate:g}; what one batch does not teach, all rows will hardly do",
                fix="try `learning_rate: auto`, a larger network, or features that say more of the target; "
                "`check: note` trains all the same",
            )


def check_learns(
    net: Net,
    feed: Feed,
    loss: Loss,
    params: Mapping[str, Any],
    rate: float,
    time_left: Callable[[], float] = lambda: math.inf,
) -> Overfit:
    """Fit a copy of the network to a few rows, without dropout, augmentation, smoothing and decay. A tenth of the time
    at most is used. Rows that hardly differ cannot be told apart, so not to learn them is no proof of a fault.
    """
    enough, losses = 0.9 * time_left(), []
    batch = _different(feed)
    if batch is None:
        return Overfit(0, 0, rate, ())
    plain = {**params, "weight_decay": 0.0, "precision": "float32", "clip": 1.0, "optimizer": "adamw"}
    bare = loss.plain()
    copied = copy.deepcopy(net)
    stepper = Stepper(copied, Plain(NoSettings(), Plan(len(batch), len(batch), _STEPS, 0)), bare, plain)
    seed_dropout(copied, None)
    for step in range(_STEPS):
        losses.append(stepper.take([batch], step, rate))
        found = Overfit(len(batch), step + 1, rate, tuple(losses))
        if found.learnt or time_left() < enough:
            break
    return found


def _different(feed: Feed) -> Batch | None:
    """Rows that differ from each other, and not all in one class; None where there are none."""
    some = np.unique(np.concatenate([feed.sampler.rows(step) for step in range(4)])[: 32 * _ROWS])
    order = np.argsort(_turn(feed.target.values.numpy()[some]), kind="stable")
    rows = np.sort(_unlike(feed.X, some[order]))
    if len(rows) < 2 or len(np.unique(feed.target.values.numpy()[rows])) < 2:
        return None
    batch = feed.batch(rows, len(rows), 0)
    further = tuple(Labels(own.y, (own.weight > 0).float()) for own in batch.further)
    return replace(batch, weight=batch.weight * 0 + 1, further=further)


def _unlike(X: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The first `_ROWS` of some rows that differ from those before; few are in memory at once, as they may be wide.

    >>> _unlike(np.float32([[1, np.nan], [2, 0], [1, np.nan], [2, -0.0]]), np.array([3, 2, 1, 0])).tolist()
    [3, 2]
    """
    found: dict[bytes, int] = {}
    for first in range(0, len(rows), _ROWS):
        own = rows[first : first + _ROWS]
        values = np.nan_to_num(np.asarray(X[own], dtype=np.float32), nan=-1e30) + np.float32(0)
        for row, value in zip(own.tolist(), values, strict=True):
            found.setdefault(hashlib.sha256(value.tobytes()).digest(), row)
        if len(found) >= _ROWS:
            break
    return np.array(list(found.values())[:_ROWS], dtype=np.int64)


def _turn(values: np.ndarray) -> np.ndarray:
    """How many rows with the same value stand before each: sorted by it, the classes take turns.

    >>> _turn(np.array([5, 5, 3, 5, 3])).tolist()
    [0, 1, 0, 2, 1]
    """
    seen: dict[float, int] = {}
    found = np.zeros(len(values), dtype=np.int64)
    for at, value in enumerate(values.tolist()):
        found[at] = seen.get(value, 0)
        seen[value] = found[at] + 1
    return found
