"""Versions that see the requests and answer nobody: how their predictions differ from those that were sent."""

from __future__ import annotations

import contextlib
import copy
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence, Set
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bessemer.package.session import missing_tensor
from bessemer.serve.batching import Lane, Run
from bessemer.serve.dialect import Subject
from bessemer.serve.errors import RequestError
from bessemer.serve.wire import Array, Batch, Predictions

log = logging.getLogger("bessemer.serve")

#: Runs, and their rows, that may wait for the shadows; what comes on top is not mirrored, and counted.
_MOST_WAITING = 64
_MOST_ROWS = 65_536


@dataclass
class Difference:
    """How a shadow's predictions differ from those that were sent.

    rows: compared; flips: rows with another class; total, worst: the sum and the largest of the absolute differences
    (of the probability of each row's likeliest class, or of the predicted number); failed: runs that raised; skipped:
    rows that were not mirrored because too much waited.
    """

    rows: int = 0
    flips: int = 0
    total: float = 0.0
    worst: float = 0.0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0

    def snapshot(self) -> dict[str, Any]:
        mean = self.total / self.rows if self.rows else 0.0
        return {**self.__dict__, "mean": mean}


class Shadows:
    """Mirrors runs to the shadows of their model (a `batching.Observer`), in a thread, after the answers.

    They run one at a time, so that a request never waits for more than one shadow's run.

    Args:
        of: the shadows' lanes for a model's name.
        pool: where they run, in one of its threads.
        record: is given what a shadow predicted, in place of the run whose rows it saw.
    """

    def __init__(
        self, of: Callable[[str], Sequence[Lane]], pool: Executor, record: Callable[[Run], None] | None = None
    ) -> None:
        self._of, self._pool, self._record = of, pool, record
        self._waiting: deque[tuple[Lane, Run, Difference]] = deque()
        self._rows = 0  # of what waits or runs
        self._running = False
        self._lock = threading.Lock()
        self.differences: dict[tuple[str, str], Difference] = {}

    def scored(self, run: Run) -> None:
        """Nothing is done before the answers are sent."""

    def answered(self, run: Run) -> None:
        for lane in self._of(run.subject.name):
            if lane.subject is run.subject:
                continue
            found = self.differences.setdefault((lane.subject.name, lane.subject.version), Difference())
            rows = sum(job.batch.rows for job in run.jobs)
            with self._lock:
                if len(self._waiting) >= _MOST_WAITING or (self._waiting and self._rows + rows > _MOST_ROWS):
                    found.skipped += rows
                    continue
                self._waiting.append((lane, run, found))
                self._rows += rows
                start, self._running = not self._running, True
            if start:
                self._pool.submit(self._next)

    def keep(self, shadows: Set[tuple[str, str]]) -> None:
        """Forget the differences of versions that are no shadows any more."""
        self.differences = {key: found for key, found in [*self.differences.items()] if key in shadows}

    def _next(self) -> None:
        """Mirror one run, and leave the thread to others before the next one."""
        with self._lock:
            lane, run, found = self._waiting.popleft()
        try:
            self._mirror(lane, run, found)
        except Exception as error:
            if not isinstance(error, RequestError):
                log.exception("the shadow '%s %s' failed", lane.subject.name, lane.subject.version)
            with self._lock:
                found.failed += 1
        with self._lock:
            self._rows -= sum(job.batch.rows for job in run.jobs)
            self._running = bool(self._waiting)
            if self._running:
                with contextlib.suppress(RuntimeError):  # the server has stopped
                    self._pool.submit(self._next)

    def _mirror(self, lane: Lane, run: Run, found: Difference) -> None:
        begin = time.perf_counter()
        batches = [_as_of(job.batch, run.subject, lane.subject) for job in run.jobs]
        made = lane.predictor.predict_together(batches)
        order = _order(run.subject.signature.classes, lane.subject.signature.classes)
        difference = [_compare(a, b, order) for a, b in zip(run.predictions, made, strict=True)]
        seconds = time.perf_counter() - begin
        with self._lock:
            found.seconds += seconds
            for rows, flips, total, worst in difference:
                found.rows += rows
                found.flips += flips
                found.total += total
                found.worst = max(found.worst, worst)
        if self._record is not None:
            jobs = [copy.copy(job) for job in run.jobs]
            for job, batch in zip(jobs, batches, strict=True):
                job.batch = batch  # its columns are those of the shadow
            with contextlib.suppress(RequestError):  # it could not be kept, which its keeper has said
                self._record(replace(run, subject=lane.subject, jobs=jobs, predictions=made))


def _as_of(batch: Batch, served: Subject, shadow: Subject) -> Batch:
    """The same rows for another version, whose inputs may differ: one it has more is missing."""
    wanted = shadow.signature.inputs
    names = [field.name for field in served.signature.inputs]
    outputs = ("prediction", "probability")
    if batch.values is not None:
        if names == [field.name for field in wanted]:
            return Batch(batch.rows, batch.values, outputs=outputs)
        place = {name: i for i, name in enumerate(names)}
        at = [place.get(field.name) for field in wanted]
        values = [tuple(None if i is None else row[i] for i in at) for row in batch.values]
        return Batch(batch.rows, values, outputs=outputs)
    feeds: dict[str, Array] = {}
    tensors = batch.tensors(names) or {}
    for field in wanted:
        sent = tensors.get(field.name)
        missing = missing_tensor(field)
        feeds[field.name] = (
            np.repeat(missing, batch.rows, axis=0)
            if sent is None or sent.dtype.kind != missing.dtype.kind
            else sent.astype(missing.dtype, copy=False)
        )
    return Batch(batch.rows, feeds=feeds, outputs=outputs)


def _order(served: Sequence[Any], shadow: Sequence[Any]) -> list[int] | None:
    """Where a shadow has the served version's classes; None where theirs are not the same.

    >>> _order(["no", "yes"], ["yes", "no"]), _order(["no", "yes"], ["no", "maybe"])
    ([1, 0], None)
    """
    if len(served) != len(shadow) or set(served) != set(shadow):
        return None
    return [list(shadow).index(value) for value in served]


def _compare(sent: Predictions, made: Predictions, order: list[int] | None) -> tuple[int, int, float, float]:
    """Rows, flips, sum and largest absolute difference."""
    one, other = sent.outputs["prediction"].reshape(-1), made.outputs["prediction"].reshape(-1)
    if "probability" in sent.outputs and "probability" in made.outputs:
        a, b = sent.outputs["probability"], made.outputs["probability"]
        if order is not None and a.shape == b.shape:
            rows, best = np.arange(len(a)), a.argmax(axis=1)
            b = b[:, order]
            apart = np.abs(a[rows, best].astype(np.float64) - b[rows, best])
            return len(a), int((one != other).sum()), float(apart.sum()), float(apart.max(initial=0.0))
        return len(a), int((one != other).sum()), 0.0, 0.0
    apart = np.abs(one.astype(np.float64) - other)
    return len(one), 0, float(apart.sum()), float(apart.max(initial=0.0))
