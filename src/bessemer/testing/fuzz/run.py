"""The fuzzer: a right request, changed, through the app; what comes back is counted, what fails is kept."""

from __future__ import annotations

import logging
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import orjson

from bessemer.serve.app import App
from bessemer.serve.repository import Repository
from bessemer.serve.wire import GRPC, Request, Response
from bessemer.testing.fuzz.messages import filled, input_of
from bessemer.testing.fuzz.mutate import LONGEST, json_bytes, mutate_bytes, mutate_json, mutate_message
from bessemer.testing.fuzz.seeds import seeds
from bessemer.testing.fuzz.values import TEXTS

#: The only answer of 5xx that is right: what is asked for exists in the protocol and not here.
_ALLOWED = 501
_KINDS = (
    "application/json",
    "text/csv",
    "application/octet-stream",
    "application/x-npy",
    "multipart/form-data",
    "x",
)
#: How many changes a body has: mostly one, or nearly every request would end at the first of them.
_CHANGES = (1, 1, 1, 2, 4)
_MOST_FAILURES = 100


@dataclass(frozen=True)
class Failure:
    """A request that was answered with 5xx or not at all, and why; one for each place in the code."""

    request: Request
    status: int
    reason: str


@dataclass
class Report:
    """What came of a run. statuses: by path and status; slowest: seconds of CPU, and the request that took them."""

    inputs: int = 0
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    failures: dict[str, Failure] = field(default_factory=dict)
    slowest: tuple[float, Request | None] = (0.0, None)

    def add(self, other: Report) -> None:
        """Add another run's."""
        self.inputs += other.inputs
        self.statuses += other.statuses
        self.failures |= {
            reason: each for reason, each in other.failures.items() if reason not in self.failures
        }
        self.slowest = max(self.slowest, other.slowest, key=lambda pair: pair[0])

    def by_status(self) -> dict[int, int]:
        found: Counter[int] = Counter()
        for (_, status), count in self.statuses.items():
            found[status] += count
        return dict(sorted(found.items()))


class _Caught(logging.Handler):
    """Keeps the exception that the app logged with the last answer."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.last: BaseException | None = None

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self.last = record.exc_info[1]


class Fuzzer:
    """Changes the requests of all dialects that an app speaks. The same seed gives the same requests.

    Args:
        models: what is served.
        seed: of the random numbers.
    """

    def __init__(self, models: Repository, seed: int = 0) -> None:
        self.app = App(models)
        self._random = Random(seed)  # noqa: S311 - it must be repeatable, not secret
        self.seeds = seeds(self.app, self.app.router.dialects)
        self._values = [_json_of(request) for request in self.seeds]
        self._bodies = [request.body for request in self.seeds]
        self._messages: dict[str, Any] = {
            request.path: input_of(request.path) for request in self.seeds if request.method == GRPC
        }

    def run(self, inputs: int, progress: Callable[[int], None] = lambda done: None) -> Report:
        """Send so many requests."""
        report, caught = Report(), _Caught()
        log = logging.getLogger("bessemer.serve")
        propagated, log.propagate = log.propagate, False
        log.addHandler(caught)
        try:
            for number in range(inputs):
                self._send(self.next(), report, caught)
                if number % 1000 == 999:
                    progress(number + 1)
        finally:
            log.removeHandler(caught)
            log.propagate = propagated
        return report

    def _send(self, request: Request, report: Report, caught: _Caught) -> None:
        begun = time.thread_time()
        try:
            response: Response | None = self.app.handle(request)
        except Exception as error:  # noqa: BLE001 - an exception is what is looked for
            response, caught.last = None, error
        seconds = time.thread_time() - begun
        if seconds > report.slowest[0]:
            report.slowest = (seconds, request)
        status = response.status if response is not None else 0
        report.inputs += 1
        report.statuses[_place(request), status] += 1
        if response is None or (status >= 500 and status != _ALLOWED) or not 100 <= status < 600:
            reason = _reason(caught.last) or f"{status} at {_place(request)}"
            if len(report.failures) < _MOST_FAILURES:
                report.failures.setdefault(reason, Failure(request, status, reason))
        caught.last = None

    # a request ---------------------------------------------------------------------------------------
    def next(self) -> Request:
        """The next request."""
        random = self._random
        place = random.randrange(len(self.seeds))
        request = self.seeds[place]
        body = self._changed(place)
        for _ in range(random.choice((0, 0, 0, 0, 0, 0, 1, 2))):
            body = mutate_bytes(random, body, self._bodies)
        made = replace(request, body=body[:LONGEST])
        if random.random() < 0.1:
            made = self._with_headers(made)
        if random.random() < 0.05:
            made = replace(
                made, query={random.choice(("explain", "extra", "x")): _sendable(random.choice(TEXTS))}
            )
        if random.random() < 0.02:
            made = self._elsewhere(made)
        return made

    def _changed(self, place: int) -> bytes:
        """The seed's body, changed as what it is."""
        random, request, value = self._random, self.seeds[place], self._values[place]
        if request.method == GRPC:
            kind = self._messages.get(request.path)
            if kind is not None and random.random() < 0.3:
                return bytes(filled(random, kind).SerializeToString())
            body = request.body
            for _ in range(random.choice(_CHANGES)):
                body = mutate_message(random, body, self._bodies)
            return body
        if value is None:
            return mutate_bytes(random, request.body, self._bodies)
        for _ in range(random.choice(_CHANGES)):
            value = mutate_json(random, value)
        return json_bytes(random, value)

    def _with_headers(self, request: Request) -> Request:
        random = self._random
        name, values = random.choice(
            (
                ("content-type", (*_KINDS, *TEXTS)),
                ("accept", (*_KINDS, *TEXTS)),
                ("inference-header-content-length", ("0", "1", "-1", "20", "99999", *TEXTS)),
                ("x-amzn-sagemaker-enable-explanations", ("true", "`x`", *TEXTS)),
                ("grpc-timeout", ("1S", "0n", "99999999H", *TEXTS)),
                ("x-request-id", TEXTS),
                ("ce-id", TEXTS),
                ("ce-specversion", ("1.0", "0.3", *TEXTS)),
            )
        )
        return replace(request, headers={**request.headers, name: _header(random.choice(values))})

    def _elsewhere(self, request: Request) -> Request:
        """The same body at another place."""
        random = self._random
        other = random.choice(self.seeds)
        if (other.method == GRPC) == (request.method == GRPC):
            return replace(request, path=other.path)
        word = _sendable(random.choice(TEXTS))
        return replace(
            request, path=request.path.replace("tiny", word), method=random.choice(("POST", "PUT", "GET"))
        )


def _sendable(text: str) -> str:
    """The text as a transport gives it, which reads a URL as UTF-8."""
    return text.encode("utf-8", "ignore").decode()


def _header(text: str) -> str:
    """The text as a transport gives it, which reads headers as Latin-1."""
    return text.encode("utf-8", "ignore").decode("latin-1")


def _json_of(request: Request) -> Any:
    """A request's body as a JSON value; None where it is none."""
    if request.method == GRPC or request.body[:1] not in (b"{", b"["):
        return None
    try:
        return orjson.loads(request.body)
    except orjson.JSONDecodeError:
        return None


def _place(request: Request) -> str:
    """The path, short enough to be counted by."""
    return request.path if request.path.isascii() and len(request.path) < 100 else "(another path)"


def _reason(error: BaseException | None) -> str:
    """An exception's type, and the line of ours that it came from."""
    if error is None:
        return ""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "bessemer" in frame.filename] or frames
    where = f"{ours[-1].filename.rpartition('bessemer/')[2]}:{ours[-1].lineno}" if ours else "?"
    return f"{type(error).__name__} at {where}: {str(error)[:200]}"
