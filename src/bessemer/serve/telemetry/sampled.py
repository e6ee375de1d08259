"""Those requests that are told of one by one: found among all, with the run that answered each."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from bessemer.serve.batching import Job, Run
from bessemer.serve.wire import Request, Response

if TYPE_CHECKING:
    from bessemer.serve.router import Found

Find = Callable[[str, str], "Found | None"]

#: Runs that nobody asked for are forgotten after one to two times so many seconds: their client's time had passed.
_FORGET = 30.0


class Chooses(Protocol):
    """Which requests are told of."""

    def wants(self, parent: str) -> bool:
        """Whether a request with this `traceparent` ('' without one) is."""


class Sampled:
    """An observer of runs (`batching.Observer`), and told of every answer (`app.House.access`).

    A run is told before its requests' answers are; they are put together by the request. Whether a request is told of
    is decided with its answer, so that one that is not costs a look into a mapping.

    find: which route answers a method and a path (`router.Router.find`).
    """

    def __init__(self, sampling: Chooses) -> None:
        self._sampling = sampling
        self.find: Find = lambda method, path: None
        self._runs: dict[int, Run] = {}
        self._older: dict[int, Run] = {}
        self._turned = time.monotonic()

    def record(
        self,
        request: Request,
        response: Response,
        address: str,
        client: str,
        seconds: float,
        run: Run | None,
        job: Job | None,
    ) -> None:
        """Tell of a request. run, job: of those that a model answered."""
        raise NotImplementedError

    # batching.Observer -----------------------------------------------------------------------------
    def scored(self, run: Run) -> None:
        """Nothing yet: the answers are not made."""

    def answered(self, run: Run) -> None:
        now = time.monotonic()
        if now - self._turned > _FORGET:
            self._turned = now
            self._older, self._runs = self._runs, {}
        for job in run.jobs:
            if not job.settled:
                self._runs[id(job.call.request)] = run  # the run has the request, so its id stays its own

    # app.House.access ------------------------------------------------------------------------------
    def __call__(
        self, request: Request, response: Response, address: str, client: str, seconds: float
    ) -> None:
        key = id(request)
        run = self._runs.pop(key, None) or (self._older.pop(key, None) if self._older else None)
        if self._sampling.wants(request.headers.get("traceparent", "")):
            job = next((job for job in run.jobs if job.call.request is request), None) if run else None
            self.record(request, response, address, client, seconds, run, job)


class Clock:
    """Times of `time.perf_counter` as nanoseconds since 1970."""

    def __init__(self) -> None:
        self.wall, self._perf = time.time_ns(), time.perf_counter()

    def at(self, moment: float) -> int:
        return self.wall - int((self._perf - moment) * 1e9)


def stages(run: Run, clock: Clock, start: int) -> list[tuple[str, int, int]]:
    """What waiting, the model and the encoding took: name, begin and end in nanoseconds since 1970.

    Args:
        start: when the request began.
    """
    begin, predicted = max(start, clock.at(run.begin)), clock.at(run.predicted)
    found = [("queue", start, begin), ("infer", begin, predicted)]
    if run.encoded:
        found.append(("encode", predicted, clock.at(run.encoded)))
    return found
