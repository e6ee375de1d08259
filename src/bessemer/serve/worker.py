"""One worker process of a server: an event loop that answers on a port it shares with the other workers.

It is started by `serve.supervisor`, takes its settings as JSON from its standard input, tells what happens as lines of
JSON on its standard output, and stops when its input ends: a worker does not outlive its supervisor.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from bessemer.core.errors import BessemerError
from bessemer.core.redaction import remember_environment
from bessemer.package.model import Model, load
from bessemer.serve.deployments.control import Control
from bessemer.serve.deployments.deployments import Deployments
from bessemer.serve.deployments.state import StateFile
from bessemer.serve.server import run_loop, settle_memory
from bessemer.serve.services import Services
from bessemer.serve.spec import ServeSpec
from bessemer.serve.transport.address import Listening

log = logging.getLogger("bessemer.serve")

_FOLLOW = 0.2
_TELL = 1.0


@dataclass(frozen=True)
class Task:
    """What a worker is told.

    settings: the ServeSpec as JSON values, its ports the real ones. packages: files or addresses. trust: public keys in
    hex, None for those of this user. folder: where the state is. worker: its number, from 0, of `workers`.
    """

    settings: dict[str, Any]
    packages: list[str]
    trust: list[str] | None
    folder: str
    worker: int
    workers: int

    def to_json(self) -> bytes:
        return orjson.dumps(asdict(self))


def main() -> None:
    """The worker's process."""
    told = os.dup(1)  # for the supervisor alone: whatever a library prints goes where errors go
    os.dup2(2, 1)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    remember_environment()
    task = Task(**orjson.loads(sys.stdin.buffer.readline()))
    try:
        run_loop(_serve(task, told))
    except BessemerError as error:
        failed = {"kind": type(error).__name__, "what": error.what, "why": error.why, "fix": error.fix}
        _tell(told, failed=failed)
        raise SystemExit(error.exit_code) from None


def _tell(to: int, **facts: Any) -> None:
    with contextlib.suppress(BrokenPipeError), os.fdopen(to, "wb", closefd=False) as pipe:
        pipe.write(b"\n" + orjson.dumps(facts) + b"\n")  # on a line of its own, whatever stands before it


async def _serve(task: Task, told: int) -> None:
    spec = ServeSpec.model_validate_json(orjson.dumps(task.settings))
    loop = asyncio.get_running_loop()
    with (
        ThreadPoolExecutor(spec.threads + 2, thread_name_prefix="bessemer-serve") as pool,
        Services(spec, pool, task.workers) as services,
    ):
        deployments = Deployments(
            *(spec, StateFile(Path(task.folder)), _opener(task), pool),
            observers=services.observers,
            worker=task.worker,
            workers=task.workers,
            record=services.logged.scored if services.logged else None,
            added=services.added,
            metric=services.metric,
        )
        await loop.run_in_executor(pool, deployments.start, task.packages)
        listeners = services.serve(deployments, [Control(deployments)], shared=True)
        _watch_input(loop, listeners.stop)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, listeners.stop)
        following = asyncio.create_task(_follow(deployments, services, pool))
        settle_memory()

        def ready(at: Listening) -> None:
            services.ready()
            _tell(told, ready=True, models=deployments.served())

        await listeners.run(ready)
        following.cancel()
        pool.shutdown(wait=False, cancel_futures=True)


def _opener(task: Task) -> Callable[[str], Model]:
    trust = None if task.trust is None else [bytes.fromhex(key) for key in task.trust]
    return lambda source: load(source, trust=trust)


def _watch_input(loop: asyncio.AbstractEventLoop, stop: Callable[[], None]) -> None:
    """Stop when the supervisor is gone: its end of our input closes, however it ended."""

    def wait() -> None:
        while os.read(0, 1 << 12):
            pass
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(stop)

    threading.Thread(target=wait, name="bessemer-supervisor", daemon=True).start()


async def _follow(deployments: Deployments, services: Services, pool: ThreadPoolExecutor) -> None:
    """Follow the state file, tell the others what was done, and judge canaries."""
    loop = asyncio.get_running_loop()
    told = 0.0
    while True:
        await asyncio.sleep(_FOLLOW)
        try:
            if deployments.changed():
                await loop.run_in_executor(pool, deployments.follow)
            if loop.time() - told >= _TELL:
                told = loop.time()
                deployments.write_statistics(services.facts())
                deployments.let_go()
                if deployments.worker == 0:
                    await loop.run_in_executor(pool, deployments.judge)
        except (BessemerError, OSError) as error:
            log.error("worker %d: %s", deployments.worker, error)
            await asyncio.sleep(_TELL)
        except Exception:  # the border: it would serve yesterday's models for ever
            log.exception("worker %d cannot follow", deployments.worker)
            await asyncio.sleep(_TELL)


if __name__ == "__main__":
    main()
