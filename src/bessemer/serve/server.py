"""Serve models in this process until a signal says stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib.util
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from bessemer.core.errors import MissingExtra
from bessemer.package.model import Model
from bessemer.serve.app import App
from bessemer.serve.batching import Observer
from bessemer.serve.repository import Repository, make_lane
from bessemer.serve.services import Services
from bessemer.serve.spec import ServeSpec

if TYPE_CHECKING:
    from bessemer.serve.transport.address import Listening

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_NEEDED = ("httptools", "msgspec")


def serve(
    models: Model | Sequence[Model], spec: ServeSpec, ready: Callable[[Listening], None] = lambda at: None
) -> None:
    """Serve models and return when the server has stopped.

    SIGTERM and SIGINT stop it: it accepts no more, finishes what is in flight (at most `spec.drain` seconds)
    and returns. A second signal cuts what is left. From another thread than the main one, signals are not touched.

    Args:
        models: one `package.model.Model` or several; the first answers where none is named.
        spec: host, port and limits.
        ready: called once with the address, when requests are taken.

    Raises:
        EnvironmentFault: the address is taken or not allowed.
        MissingExtra: the HTTP parser is not installed.
        UsageError: the spec names a dialect that does not exist.
    """
    need_extra()

    async def main() -> None:
        with (
            ThreadPoolExecutor(spec.threads + 1, thread_name_prefix="bessemer-serve") as pool,
            Services(spec, pool) as services,
        ):
            repository = make_repository(models, spec, pool, services.observers)
            for lane in repository.lanes():
                services.added(lane)
            listeners = services.serve(repository)

            def begun(at: Listening) -> None:
                services.ready()
                ready(at)

            with _signals(asyncio.get_running_loop(), listeners.stop):
                await listeners.run(begun)
            pool.shutdown(wait=False, cancel_futures=True)

    run_loop(main())


def run_loop(main: Any) -> None:
    """Run a coroutine on the quickest event loop there is: uvloop's where it is installed."""
    factory = None
    if importlib.util.find_spec("uvloop") is not None:
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main)


def settle_memory() -> None:
    """Tell the collector of reference cycles that what is loaded stays, and to look less often: requests make none."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def need_extra() -> None:
    """Raise MissingExtra where what a server needs is not installed."""
    for module in _NEEDED:
        if importlib.util.find_spec(module) is None:
            raise MissingExtra("serve", module, "serve")


def make_repository(
    models: Model | Sequence[Model],
    spec: ServeSpec,
    pool: ThreadPoolExecutor | None = None,
    observers: Sequence[Observer] = (),
) -> Repository:
    """The models, warmed."""
    each = [models] if isinstance(models, Model) else list(models)
    return Repository(spec, [make_lane(model, spec, pool=pool, observers=observers) for model in each])


def make_app(models: Model | Sequence[Model], spec: ServeSpec) -> App:
    """The application for some models: `App.handle` answers requests without a socket or an event loop."""
    return App(make_repository(models, spec))


@contextlib.contextmanager
def _signals(loop: asyncio.AbstractEventLoop, stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` on the loop for each signal; the handlers that were there come back at the end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    for number in _SIGNALS:
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)
