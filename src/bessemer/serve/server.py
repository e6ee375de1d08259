"""Serve a model until a signal says stop."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import signal
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from bessemer.core.errors import MissingExtra, PackageError
from bessemer.package.contributions import Contributions
from bessemer.package.model import Model
from bessemer.serve.app import App
from bessemer.serve.dialect import Subject
from bessemer.serve.predictor import Predictor
from bessemer.serve.spec import ServeSpec

if TYPE_CHECKING:
    from bessemer.serve.transport.http import Listening

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def serve(model: Model, spec: ServeSpec, ready: Callable[[Listening], None] = lambda at: None) -> None:
    """Serve a model and return when it has stopped.

    SIGTERM and SIGINT stop it: it accepts no more, finishes what is in flight (at most `spec.drain` seconds)
    and returns. A second signal cuts what is left. From another thread than the main one, signals are not touched.

    Args:
        model: a `package.model.Model`.
        spec: host, port and limits.
        ready: called once with the address, when requests are taken.

    Raises:
        EnvironmentFault: the address is taken or not allowed.
        MissingExtra: the HTTP parser is not installed.
        UsageError: the spec names a dialect that does not exist.
    """
    if importlib.util.find_spec("httptools") is None:
        raise MissingExtra("serve", "httptools", "serve")
    from bessemer.serve.transport.http import HttpServer

    app = make_app(model, spec)

    async def main() -> None:
        server = HttpServer(app, spec)

        def stop() -> None:
            app.subject.ready = False
            server.stop()

        with _signals(asyncio.get_running_loop(), stop):
            await server.run(ready)

    asyncio.run(main())


def make_app(model: Model, spec: ServeSpec) -> App:
    """The application for a model, warmed: everything that is done once is done.

    An App answers requests without a socket: tests and other transports use it directly.
    """
    explainer = _explainer(model) if spec.explain != "never" else None
    predictor = Predictor(model.signature, model.session, explainer)
    sample = model.sample[0] if model.sample else {}
    subject = Subject(
        name=model.name,
        version=model.version,
        signature=model.signature,
        groups=predictor.groups,
        spec=spec,
        sample={field.name: sample[field.name] for field in model.signature.inputs if field.name in sample},
    )
    predictor.warm(explain=bool(predictor.groups))
    return App(subject, predictor)


def _explainer(model: Model) -> Contributions | None:
    try:
        return model.explainer
    except PackageError:  # a package without its native model predicts, and cannot explain
        return None


@contextlib.contextmanager
def _signals(loop: asyncio.AbstractEventLoop, stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` on the loop for each signal; the handlers that were there come back at the end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {
        number: signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop)) for number in _SIGNALS
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
