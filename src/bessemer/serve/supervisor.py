"""A server of several processes on one port: starts them, says why one died and starts it anew, stops them."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from bessemer.core import errors
from bessemer.core.errors import BessemerError, EnvironmentFault
from bessemer.serve.deployments.peers import Peers
from bessemer.serve.server import need_extra
from bessemer.serve.spec import ServeSpec
from bessemer.serve.transport.address import Listening
from bessemer.serve.worker import Task

log = logging.getLogger("bessemer.serve")

#: A worker that dies sooner than this after its start is waited for, longer each time.
_HEALTHY = 10.0
_LONGEST_PAUSE = 30.0
_LONGEST_LINE = 2**20
_PATIENCE = 600.0
#: Seconds beyond the drain that a worker has to write and close what it has open, before it is killed.
_GRACE = 30.0


@dataclass
class _Worker:
    """One process and what is known of it."""

    number: int
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    ready: bool = False
    deaths: int = 0
    again: float = 0.0  # when it is started anew
    heard: bytes = b""  # of a line that has not ended
    failed: dict[str, Any] = field(default_factory=dict)
    models: list[list[str]] = field(default_factory=list)


Ready = Callable[[Listening, list[list[str]]], None]


class Supervisor:
    """Runs `spec.workers` workers for some packages until it is told to stop.

    Args:
        packages: files or addresses of packages.
        spec: the settings. Port 0 takes a free one.
        trust: the public keys to trust instead of those of this user.
        folder: what paths in the settings are relative to; this one by default.
    """

    def __init__(
        self,
        packages: Sequence[str],
        spec: ServeSpec,
        trust: Sequence[bytes] | None = None,
        folder: Path | None = None,
    ) -> None:
        self._home = (folder or Path()).resolve()
        need_extra()
        self._packages, self._spec = [_whole(package) for package in packages], spec
        self._trust = None if trust is None else [key.hex() for key in trust]
        self._count = spec.workers or _cores()
        self._workers = [_Worker(number) for number in range(self._count)]
        self._selector = selectors.DefaultSelector()
        self._stopping = 0
        self._end = float("inf")  # when what has not stopped is killed
        self.restarts = 0

    def run(self, ready: Ready = lambda at, models: None) -> None:
        """Serve until SIGTERM or SIGINT; a second signal cuts what is in flight.

        Args:
            ready: called once, when requests are taken, with the address and the models: [name, version] each.

        Raises:
            EnvironmentFault: the address is taken; BessemerError: no worker could start, with the worker's own reason.
        """
        with contextlib.ExitStack() as stack:
            held, ports = _reserve(self._spec)
            for one in held:
                stack.callback(one.close)
            if self._spec.state is not None:
                folder = self._home / self._spec.state
                stack.enter_context(_sole(folder))
            else:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bessemer-serve-")))
            settings = self._spec.model_copy(update={"port": ports[0], "grpc_port": ports[1]})
            self._settings, self._folder = settings, folder
            for old in (folder / "workers").glob("*"):
                old.unlink()
            self._peers = Peers(folder, -1, self._count)
            stack.callback(self._kill)
            wake = stack.enter_context(_signals(self._stop))
            self._selector.register(wake, selectors.EVENT_READ, None)
            self._first(
                Listening(self._spec.host, ports[0], ports[1], secure=settings.tls is not None), ready
            )
            self._watch()

    # life ------------------------------------------------------------------------------------------
    def _start(self, worker: _Worker) -> None:
        settings = self._settings.model_dump(mode="json")
        # a worker that is started anew takes what is deployed now, which need not be what the server began with
        packages = self._packages if not worker.started else []
        task = Task(settings, packages, self._trust, str(self._folder), worker.number, self._count)
        worker.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "bessemer.serve.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=self._home,
            start_new_session=True,  # Ctrl-C is for the supervisor, which tells the workers
        )
        worker.started, worker.ready, worker.heard, worker.failed = time.monotonic(), False, b"", {}
        assert worker.process.stdin
        assert worker.process.stdout
        with contextlib.suppress(BrokenPipeError):
            worker.process.stdin.write(task.to_json() + b"\n")
            worker.process.stdin.flush()
        self._selector.register(worker.process.stdout, selectors.EVENT_READ, worker)
        if self._stopping:  # the signal came while it was started
            worker.process.terminate()

    def _first(self, at: Listening, ready: Ready) -> None:
        """Start the workers, the first alone: what is wrong with a package is found once."""
        end = time.monotonic() + _PATIENCE
        for batch in (self._workers[:1], self._workers[1:]):
            if self._stopping:
                return
            for worker in batch:
                self._start(worker)
            while not all(worker.ready for worker in batch) and not self._stopping:
                self._step(1.0)
                for worker in batch:
                    dead = worker.process is not None and worker.process.poll() is not None
                    if (worker.failed or dead) and not self._stopping:
                        raise self._reason(worker)
                if time.monotonic() > end:
                    raise EnvironmentFault("the workers did not start", why=f"not within {_PATIENCE:g} s")
        if not self._stopping:
            ready(at, self._workers[0].models)

    def _reason(self, worker: _Worker) -> BessemerError:
        """Why a worker could not start."""
        assert worker.process is not None
        if not worker.failed:
            worker.process.wait()
            return EnvironmentFault(
                f"worker {worker.number} {_death(worker.process.returncode)} before it served"
            )
        kind = getattr(errors, worker.failed["kind"], BessemerError)
        told = {key: worker.failed[key] for key in ("why", "fix")}
        made: BessemerError = (kind if issubclass(kind, BessemerError) else BessemerError)(
            worker.failed["what"], **told
        )
        return made

    def _watch(self) -> None:
        """Start workers that died anew, until all have stopped."""
        while True:
            self._step(0.2)
            now = time.monotonic()
            if now > self._end:
                log.error("a worker did not stop in time and is killed")
                self._kill()
            alive = 0
            for worker in self._workers:
                if worker.process is not None and not worker.ready and now - worker.started > _PATIENCE:
                    log.error("worker %d does not become ready and is killed", worker.number)
                    worker.process.kill()
                if worker.process is not None and worker.process.poll() is not None:
                    self._bury(worker, now)
                if worker.process is None and not self._stopping and now >= worker.again:
                    self.restarts += 1
                    self._peers.note_restarts(self.restarts)
                    self._start(worker)
                alive += worker.process is not None
            if self._stopping and not alive:
                return

    def _bury(self, worker: _Worker, now: float) -> None:
        assert worker.process is not None
        code, pid = worker.process.returncode, worker.process.pid
        worker.process = None
        if self._stopping:
            return
        soon = now - worker.started < _HEALTHY
        worker.deaths = worker.deaths + 1 if soon else 1
        worker.again = now + (_pause(worker.deaths) if soon else 0.0)
        log.error("worker %d (process %d) %s; it is started anew", worker.number, pid, _death(code))

    def _step(self, seconds: float) -> None:
        """Read what workers tell, for at most some seconds."""
        for key, _ in self._selector.select(seconds):
            if key.data is None:
                os.read(key.fd, 1 << 10)
                continue
            worker: _Worker = key.data
            data = os.read(key.fd, 1 << 16)
            if not data:
                self._selector.unregister(key.fileobj)
                continue
            *lines, rest = (worker.heard + data).split(b"\n")
            worker.heard = rest[-_LONGEST_LINE:]
            for told in filter(None, map(_told, lines)):
                worker.ready = worker.ready or bool(told.get("ready"))
                worker.models = told.get("models", worker.models)
                worker.failed = told.get("failed", worker.failed)

    def _stop(self) -> None:
        self._stopping += 1
        self._end = min(self._end, time.monotonic() + self._spec.drain + _GRACE)
        for worker in self._workers:
            if worker.process is not None and worker.process.poll() is None:
                worker.process.send_signal(signal.SIGTERM)

    def _kill(self) -> None:
        for worker in self._workers:
            if worker.process is not None and worker.process.poll() is None:
                worker.process.kill()
                worker.process.wait()


def _whole(package: str) -> str:
    """A path that holds wherever it is read later; an address as it is."""
    return package if "://" in package else str(Path(package).resolve())


def _told(line: bytes) -> dict[str, Any]:
    """What a worker tells; {} for what a library printed before the worker had its output to itself."""
    try:
        told = orjson.loads(line)
    except orjson.JSONDecodeError:
        return {}
    return told if isinstance(told, dict) else {}


def _pause(deaths: int) -> float:
    """Seconds until a worker that died young so many times is started anew.

    >>> _pause(1), _pause(100_000)
    (0.2, 30.0)
    """
    return min(_LONGEST_PAUSE, 0.1 * 2.0 ** min(deaths, 10))


def _cores() -> int:
    """The cores this process may use."""
    with contextlib.suppress(AttributeError):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _death(code: int) -> str:
    """Why a process ended, in words.

    >>> _death(-9), _death(1)
    ('was killed by SIGKILL (out of memory?)', 'ended with code 1')
    """
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        return f"was killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
    return f"ended with code {code}"


def _reserve(spec: ServeSpec) -> tuple[list[socket.socket], tuple[int, int | None]]:
    """Sockets that hold the ports while workers come and go, and the ports. They are bound and do not listen.

    Raises:
        EnvironmentFault: an address is taken, not this machine's, or not allowed.
    """
    held: list[socket.socket] = []
    ports: list[int | None] = []
    for port in (spec.port, spec.grpc_port):
        if port is None:
            ports.append(None)
            continue
        one = socket.socket(socket.AF_INET6 if ":" in spec.host else socket.AF_INET)
        try:
            _alone(spec.host, port)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            one.bind((spec.host, port))
        except (OSError, OverflowError) as error:
            for each in [one, *held]:
                each.close()
            raise EnvironmentFault(
                f"cannot listen on {spec.host}:{port}",
                why=str(error),
                fix="choose another port with `--port` (0 takes a free one), or another `--host`",
            ) from error
        held.append(one)
        ports.append(int(one.getsockname()[1]))
    return held, (ports[0] or 0, ports[1])


def _alone(host: str, port: int) -> None:
    """Raise OSError where another server of this user listens already: SO_REUSEPORT would share the port with it."""
    if port:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))


@contextlib.contextmanager
def _sole(folder: Path) -> Iterator[None]:
    """Hold a folder for one server: two would take each other's workers for their own.

    Raises:
        EnvironmentFault: another server has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "server.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise EnvironmentFault(
                f"another server keeps its state in {folder}",
                fix="stop it first, or give this one another folder: `--state`",
            ) from None
        yield


@contextlib.contextmanager
def _signals(stop: Callable[[], None]) -> Iterator[int]:
    """Call `stop` for SIGTERM and SIGINT; gives a file descriptor that wakes the selector for each."""
    read, write = os.pipe2(os.O_NONBLOCK)
    in_main = threading.current_thread() is threading.main_thread()
    before = {}
    if in_main:
        old = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            before[number] = signal.signal(number, lambda *_: stop())
    try:
        yield read
    finally:
        if in_main:
            signal.set_wakeup_fd(old)
            for number, handler in before.items():
                signal.signal(number, handler)
        os.close(read)
        os.close(write)
