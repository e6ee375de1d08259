"""How interpret's boosting ends in time."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.shared_memory import SharedMemory
from types import TracebackType
from typing import Any, ClassVar

import interpret.glassbox._ebm._ebm as engine

#: Interpret's private name of what makes its flags; a version without it is left as it is.
_MAKER = "SharedMemoryManager"


class Stop:
    """Ends the fits within its block when the time does, and when the block is left by an error.

    Interpret asks a callback after every step, and looks at a flag while it ranks pairs.

    stopped: whether a fit was told to end.
    """

    def __init__(self, time_left: Callable[[], float]) -> None:
        self._time_left = time_left
        self._timer: threading.Timer | None = None
        self.flags: set[_Flag] = set()
        self.stopped = False

    def __enter__(self) -> Stop:
        left = self._time_left()
        if math.isfinite(left):
            self._timer = threading.Timer(max(0.0, left), self._raise)
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if kind is not None:
            self._raise()

    def fit(self, estimator: Any, *args: Any, hurried: bool = True, **named: Any) -> Any:
        """What `estimator.fit` gives; hurried: it may be ended."""
        if not hurried:
            return estimator.fit(*args, **named)
        estimator.callback = self._asked
        with _own_flags(self):
            return estimator.fit(*args, **named)

    def _asked(self, bag: int, step: int, progress: bool, metric: float) -> bool:
        self.stopped = self.stopped or self._time_left() <= 0
        return self.stopped

    def _raise(self) -> None:
        self.stopped = True
        for flag in list(self.flags):
            flag.raise_it()


class _Flag:
    """One fit's flag. Interpret's own maker keeps it in a server process, which starts the main module again."""

    stop_of: ClassVar[threading.local] = threading.local()

    def __init__(self) -> None:
        self._memory: SharedMemory | None = None
        self._flags: set[_Flag] = self.stop_of.stop.flags if hasattr(self.stop_of, "stop") else set()

    def __enter__(self) -> _Flag:
        self._flags.add(self)
        return self

    def __exit__(self, *error: Any) -> None:
        self._flags.discard(self)
        if self._memory is not None:
            self._memory.close()
            self._memory.unlink()

    def SharedMemory(self, size: int) -> SharedMemory:  # noqa: N802  (interpret's name for it)
        self._memory = SharedMemory(create=True, size=size)
        return self._memory

    def raise_it(self) -> None:
        if self._memory is not None and self._memory.buf is not None:
            self._memory.buf[0] = 1


_lock = threading.Lock()
_users: list[Stop] = []
_before: list[Any] = []


@contextmanager
def _own_flags(stop: Stop) -> Iterator[None]:
    """Give interpret our flags, as long as any fit of any thread needs them."""
    _Flag.stop_of.stop = stop
    with _lock:
        _users.append(stop)
        if len(_users) == 1 and hasattr(engine, _MAKER):
            _before.append(getattr(engine, _MAKER))
            setattr(engine, _MAKER, _Flag)
    try:
        yield
    finally:
        with _lock:
            _users.remove(stop)
            if not _users and _before:
                setattr(engine, _MAKER, _before.pop())
        del _Flag.stop_of.stop
