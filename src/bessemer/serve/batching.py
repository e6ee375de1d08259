"""When requests are scored, and which of them together.

A quick model runs on the event loop: all requests that were read in one turn of the loop are scored at the start of the
next one, together, without a timer. A model that takes longer than about two milliseconds runs in threads: while one
batch is scored others gather, and the next batch takes as many as will be answered in time.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Protocol

from bessemer.serve.dialect import Call, Dialect, Subject
from bessemer.serve.errors import RequestError, failure
from bessemer.serve.guards.mark import Mark
from bessemer.serve.predictor import Predictor
from bessemer.serve.wire import Batch, Predictions, Response

log = logging.getLogger("bessemer.serve")

#: What may run on the event loop, in seconds: longer work would be felt by every connection.
QUICK = 0.002
#: Rows scored at once in a thread, at most.
MOST_ROWS = 65_536


class Job:
    """One request on its way to its answer; `settle` answers it once, whoever comes first."""

    __slots__ = (
        *("batch", "begun", "call", "client", "dialect", "end", "identity"),
        *("mark", "read", "reply", "settled"),
    )

    def __init__(
        self, call: Call, dialect: Dialect, reply: Callable[[Response], None], client: str, timeout: float
    ) -> None:
        self.call, self.dialect, self.reply, self.client = call, dialect, reply, client
        self.batch: Batch = _NOTHING
        self.begun = self.read = time.perf_counter()
        self.end = self.begun + timeout
        self.identity = ""
        self.mark: Mark | None = None
        self.settled = False

    def settle(self, response: Response) -> None:
        if not self.settled:
            self.settled = True
            self.reply(response)

    def too_late(self) -> Response:
        """What a request is answered whose time has passed."""
        if self.batch.late is not None:
            return self.batch.late
        seconds = self.end - self.begun
        return self.dialect.error(RequestError(504, f"no answer within {seconds:g} s"))


_NOTHING = Batch(0)


@dataclass(slots=True)
class Run:
    """One run of a model for some requests; the times are `time.perf_counter()`.

    begin: when it began; predicted: when the model was done; encoded: when the answers were made (0 before that).
    """

    subject: Subject
    jobs: Sequence[Job]
    predictions: Sequence[Predictions]
    begin: float
    predicted: float
    encoded: float = 0.0


class Observer(Protocol):
    """What is told every run. Both are called in the thread that ran, which may be the event loop's: be quick."""

    def scored(self, run: Run) -> None:
        """Before any of the run's answers is sent."""

    def answered(self, run: Run) -> None:
        """When its answers are made."""


class Cost:
    """What a run takes, learnt from what runs took: seconds = fixed + rows * each, the older the less it counts.

    >>> cost = Cost()
    >>> for rows in (1, 10, 1, 10): cost.learn(rows, 0.001 + rows * 0.0001)
    >>> round(cost.estimate(100), 4)
    0.011
    """

    _DECAY = 0.98

    def __init__(self) -> None:
        self._n = self._r = self._s = self._rr = self._rs = (
            0.0  # decayed sums of 1, rows, seconds and products
        )
        self._fixed, self._each = 0.0, 0.0

    def learn(self, rows: int, seconds: float) -> None:
        keep = self._DECAY
        n = self._n = self._n * keep + 1.0
        r = self._r = self._r * keep + rows
        s = self._s = self._s * keep + seconds
        rr = self._rr = self._rr * keep + rows * rows
        rs = self._rs = self._rs * keep + rows * seconds
        spread = n * rr - r * r
        each = (n * rs - r * s) / spread if spread > 1e-9 * n * rr else s / r if r else 0.0
        self._each = max(each, 0.0)
        self._fixed = max((s - self._each * r) / n, 0.0)

    def estimate(self, rows: int) -> float:
        """Seconds that a run of so many rows will take."""
        return self._fixed + self._each * rows

    def rows_in(self, seconds: float) -> int:
        """How many rows a run of so many seconds has room for; at least one."""
        if self._each <= 0.0:
            return MOST_ROWS
        return max(1, min(MOST_ROWS, int((seconds - self._fixed) / self._each)))


class Lane:
    """The requests of one model version: those that wait, and the runs that answer them.

    Everything but `_run` of a thread happens on the event loop.

    Args:
        subject: whose statistics count.
        predictor: what predicts.
        pool: where slow runs go.
        threads: how many of them at once.
        observers: are told of each run.
    """

    def __init__(
        self,
        subject: Subject,
        predictor: Predictor,
        pool: Executor | None = None,
        threads: int = 1,
        observers: Sequence[Observer] = (),
    ) -> None:
        self.subject, self.predictor = subject, predictor
        self.cost, self.explaining = Cost(), Cost()
        self._pool, self._threads, self._observers = pool, threads, tuple(observers)
        self._fresh: list[Job] = []
        self._queue: deque[Job] = deque()
        self._busy = 0
        self._quick = 0  # a run of so many rows may be done on the loop
        self.waiting = 0  #: requests that are not answered yet

    def warm(self) -> None:
        """Open what is opened once, and learn what a run takes before the first request does."""
        fields = self.subject.signature.inputs
        self.predictor.warm(explain=bool(self.subject.groups) and self.subject.spec.explain != "never")
        for rows in (1, 64) * 3:
            batch = Batch(rows, [(None,) * len(fields)] * rows)
            begin = time.perf_counter()
            self.predictor.predict(batch)
            self.cost.learn(rows, time.perf_counter() - begin)
        self.explaining.learn(1, 2 * QUICK)  # explanations always go to a thread
        self.learn(1, self.cost.estimate(1))

    def learn(self, rows: int, seconds: float) -> None:
        """Note what a run took."""
        self.cost.learn(rows, seconds)
        self._quick = self.cost.rows_in(QUICK) if self.cost.estimate(1) <= QUICK else 0

    @property
    def slow(self) -> bool:
        """Whether requests queue for threads; those of a quick model are all answered in the next turn of the loop."""
        return self._quick == 0 or bool(self._queue)

    # on the loop -----------------------------------------------------------------------------------
    def submit(self, job: Job) -> None:
        """Take a request that has been read."""
        job.read = time.perf_counter()
        self.waiting += 1
        batch = job.batch
        if batch.timeout is not None:
            self._limit(job, batch.timeout)
        if self._pool is None or (batch.rows <= self._quick and not batch.explain):
            if not self._fresh:
                asyncio.get_running_loop().call_soon(self._flush)
            self._fresh.append(job)
        else:
            self._queue.append(job)
            self._start()

    def _limit(self, job: Job, seconds: float) -> None:
        """Answer the job with what it wants in place of an answer that is late."""
        job.end = min(job.end, job.begun + seconds)

        def expire() -> None:
            if not job.settled:
                self.subject.statistics.late += 1
                job.settle(job.too_late())

        left = max(0.0, job.end - time.perf_counter())
        timer, reply = asyncio.get_running_loop().call_later(left, expire), job.reply

        def answered(response: Response) -> None:
            timer.cancel()  # or it would keep the request's body until then
            reply(response)

        job.reply = answered

    def _flush(self) -> None:
        """Score what was read in the last turn of the loop, in runs of at most QUICK."""
        jobs, self._fresh = self._fresh, []
        most = max(self._quick, 1)
        start = rows = 0
        for i, job in enumerate(jobs):
            if rows and rows + job.batch.rows > most:
                self._answer(jobs[start:i])
                start, rows = i, 0
            rows += job.batch.rows
        self._answer(jobs[start:])

    def _answer(self, jobs: Sequence[Job]) -> None:
        try:
            answers = self._run(jobs)
        except Exception:  # noqa: BLE001 - the border's border: see `_lost`
            answers = self._lost(jobs)
        self._send(answers)

    def _send(self, answers: Sequence[tuple[Job, Response]]) -> None:
        """Answer each request; one whose answer cannot be sent does not touch the others."""
        for job, response in answers:
            self.waiting -= 1
            try:
                job.settle(response)
            except Exception:
                log.exception("an answer of '%s' could not be sent", self.subject.name)

    def _lost(self, jobs: Sequence[Job]) -> list[tuple[Job, Response]]:
        """Answers where nobody foresaw what went wrong: each request has one, or it would count as waiting for ever."""
        text = failure(f"the model '{self.subject.name}'").line.encode()
        self.subject.statistics.failed += len(jobs)
        return [(job, Response(500, text, "text/plain")) for job in jobs]

    def _start(self) -> None:
        """Give threads that are free what waits."""
        assert self._pool is not None
        while self._queue and self._busy < self._threads:
            jobs = self._gather()
            if jobs:
                self._busy += 1
                loop = asyncio.get_running_loop()
                self._pool.submit(self._run_in_thread, jobs, loop)

    def _gather(self) -> list[Job]:
        """The jobs of the next run: of one kind, shared among the free threads, and no more than can be in time."""
        now = time.perf_counter()
        jobs: list[Job] = []
        rows = 0
        share = -(-len(self._queue) // (self._threads - self._busy))
        while self._queue and len(jobs) < share:
            job = self._queue[0]
            if job.settled or now >= job.end:
                self._queue.popleft()
                self.waiting -= 1
                if not job.settled:
                    self.subject.statistics.late += 1
                    job.settle(job.too_late())
                continue
            cost = self.explaining if job.batch.explain else self.cost
            first = jobs[0] if jobs else job
            if jobs and (
                job.batch.explain != first.batch.explain
                or rows + job.batch.rows > MOST_ROWS
                or now + cost.estimate(rows + job.batch.rows) > min(first.end, job.end)
            ):
                break
            jobs.append(self._queue.popleft())
            rows += job.batch.rows
        return jobs

    def _run_in_thread(self, jobs: Sequence[Job], loop: asyncio.AbstractEventLoop) -> None:
        try:
            answers = self._run(jobs)
        except Exception:  # noqa: BLE001 - see `_lost`
            answers = self._lost(jobs)
        try:
            loop.call_soon_threadsafe(self._finish, answers)
        except RuntimeError:  # the loop has closed: the drain was cut
            log.debug("%d answers came after the end", len(answers))

    def _finish(self, answers: Sequence[tuple[Job, Response]]) -> None:
        self._busy -= 1
        self._send(answers)
        self._start()

    # anywhere --------------------------------------------------------------------------------------
    def _run(self, jobs: Sequence[Job]) -> list[tuple[Job, Response]]:
        """Score jobs together, and encode their answers; alone where together fails."""
        begin = time.perf_counter()
        try:
            predictions = self.predictor.predict_together([job.batch for job in jobs])
        except RequestError as error:
            if len(jobs) > 1:
                return [answer for job in jobs for answer in self._run([job])]
            return [(jobs[0], self._refused(jobs[0], error))]
        except Exception:  # noqa: BLE001 - the border: a bad request must not take its neighbours with it
            if len(jobs) > 1:
                return [answer for job in jobs for answer in self._run([job])]
            return [(jobs[0], self._refused(jobs[0], failure(f"the model '{self.subject.name}'")))]
        middle = time.perf_counter()
        run = Run(self.subject, jobs, predictions, begin, middle)
        try:
            for observer in self._observers:
                observer.scored(run)
        except RequestError as error:  # what must be kept of a prediction could not be kept
            return [(job, self._refused(job, error)) for job in jobs]
        answers: list[tuple[Job, Response]] = []
        for job, found in zip(jobs, predictions, strict=True):
            try:
                given = found
                if run.subject.altered is not None:
                    given = run.subject.altered.on(job.client, job.batch, given)
                if job.mark is not None:
                    given = job.mark.on(run.subject, given)
                response = job.dialect.encode(job.call, job.batch, given)
            except RequestError as error:
                response = job.dialect.error(error)
            except Exception:  # noqa: BLE001 - the border, again
                response = job.dialect.error(failure(f"an answer of '{self.subject.name}'"))
            if job.identity:
                response.headers = (*response.headers, ("x-request-id", job.identity))
            answers.append((job, response))
        run.encoded = time.perf_counter()
        self._count(run)
        try:
            for observer in self._observers:
                observer.answered(run)
        except Exception:  # the answers are made: they are given, whatever one who looks on thinks of them
            log.exception("a run of '%s' was not noted", self.subject.name)
        return answers

    def _refused(self, job: Job, error: RequestError) -> Response:
        statistics = self.subject.statistics
        if error.status >= 500:
            statistics.failed += 1
        else:
            statistics.refused += 1
        statistics.failed_seconds += time.perf_counter() - job.begun
        return job.dialect.error(error)

    def _count(self, run: Run) -> None:
        statistics, end = self.subject.statistics, run.encoded
        infer = run.predicted - run.begin
        rows, begun, read = 0, 0.0, 0.0
        dialects = statistics.dialects
        for job in run.jobs:
            dialect = job.dialect.name
            dialects[dialect] = dialects.get(dialect, 0) + 1
            rows += job.batch.rows
            begun += job.begun
            read += job.read
            statistics.took(end - job.begun)
        explained = run.jobs[0].batch.explain
        if explained:
            self.explaining.learn(rows, infer)
        else:
            self.learn(rows, infer)
        statistics.ran(rows=rows, requests=len(run.jobs), infer=infer)
        statistics.explained += rows if explained else 0
        statistics.encode_seconds += end - run.predicted
        statistics.decode_seconds += read - begun
        statistics.queue_seconds += run.begin * len(run.jobs) - read
