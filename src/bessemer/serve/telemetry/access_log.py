"""The access log: a line of JSON for each answer.

The loop only puts what is known into a queue; a thread makes lines of it a few times a second and writes them. So a
disk that stands still, or an error stream that nobody reads, holds up no request: what does not fit is counted.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import Protocol

from bessemer.serve.telemetry.lines import LONGEST, Record, line, lost
from bessemer.serve.telemetry.rotating import ErrorStream, RotatingFile
from bessemer.serve.telemetry.spec import AccessLogSpec
from bessemer.serve.wire import Request, Response

_LOG = logging.getLogger("bessemer.serve")

#: Seconds between two looks into the queue: no request ever wakes the thread.
_EVERY = 0.1
#: Lines between two writes. Writing lets the loop have the interpreter again: a few hundred microseconds at most.
_AT_ONCE = 64
_SAY_EVERY = 60.0


class Sink(Protocol):
    """Where lines go."""

    def write(self, data: bytes) -> None:
        """Write all of it. OSError: it cannot be written."""

    def close(self) -> None: ...


class AccessLog:
    """Called with every answer (see `app.House.access`); never blocks and never raises.

    Of a request's headers only `x-request-id`, `user-agent` and the trace of `traceparent` are written, and nothing of
    its query or body: what may be secret stays out.

    dropped: lines that were lost, because the queue was full or the sink could not be written.
    """

    def __init__(self, spec: AccessLogSpec) -> None:
        self.dropped = 0
        self._told = 0
        self._skip = frozenset(spec.skip)
        self._most = spec.queue
        self._queue: deque[Record] = deque()
        self._sink: Sink = RotatingFile(spec.file, spec.rotate, spec.keep) if spec.file else ErrorStream()
        self._thread: threading.Thread | None = None
        self._end = threading.Event()
        self._said = float("-inf")

    def __call__(
        self, request: Request, response: Response, address: str, client: str, seconds: float
    ) -> None:
        if request.path in self._skip:
            return
        queue = self._queue
        if len(queue) >= self._most:
            self.dropped += 1
            return
        if self._thread is None:
            self._start()
        headers = request.headers.get
        queue.append(  # texts are cut here: what waits for a disk that stands still is bounded in bytes, too
            (
                time.time(),
                request.method,
                request.path[:LONGEST],
                response.status,
                len(response.body),
                seconds,
                client,
                address,
                headers("x-request-id", "")[:LONGEST],
                headers("user-agent", "")[:LONGEST],
                headers("traceparent", "")[:LONGEST],
                response.note,
            )
        )

    def _start(self) -> None:
        """With the first answer, so that a process that was forked before has a thread of its own."""
        self._thread = threading.Thread(target=self._run, name="bessemer-access-log", daemon=True)
        self._thread.start()

    # in the thread ---------------------------------------------------------------------------------
    def _run(self) -> None:
        while not self._end.wait(_EVERY):
            self._write_all()
        self._write_all()

    def _write_all(self) -> None:
        """Write what waits at this moment."""
        left = len(self._queue)
        while left > 0:
            count = min(left, _AT_ONCE)
            left -= count
            self._write(b"".join([line(self._queue.popleft()) for _ in range(count)]), count)
        if self.dropped > self._told:
            dropped = self.dropped
            if self._write(lost(time.time(), dropped - self._told), 0):
                self._told = dropped

    def _write(self, data: bytes, lines: int) -> bool:
        try:
            self._sink.write(data)
        except OSError as error:
            self.dropped += lines
            self._complain(error)
            return False
        return True

    def _complain(self, error: OSError) -> None:
        now = time.monotonic()
        if now - self._said >= _SAY_EVERY:
            self._said = now
            _LOG.error("the access log cannot be written (%s): %d lines lost so far", error, self.dropped)

    # ---------------------------------------------------------------------------------------------------
    def close(self, wait: float = 5.0) -> None:
        """Write what waits, for at most so many seconds."""
        self._end.set()
        if self._thread is not None:
            self._thread.join(wait)
            if self._thread.is_alive():
                return  # it is writing: its file is closed with the process
        self._sink.close()
