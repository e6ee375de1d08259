"""A real package of the tiny model, and what serves it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from serve_client import Served
from serve_command import ADMIN, Server
from serve_packages import PUBLIC, write_public, write_tiny

from bessemer.package.model import Model, load
from bessemer.serve.server import make_app
from bessemer.serve.spec import ServeSpec
from bessemer.serve.wire import Request, Response
from bessemer.testing.models import CLASSES


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A signed package file for each task."""
    folder = tmp_path_factory.mktemp("packages")
    return {task: write_tiny(folder / f"{task}.bsm", task=task) for task in CLASSES}


@pytest.fixture(scope="session")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """versions("1.1.0", name="tiny", task="binary") -> the path of a signed package"""
    folder = tmp_path_factory.mktemp("versions")

    def made(version: str, name: str = "tiny", task: Any = "binary") -> str:
        path = folder / f"{name}-{version}-{task}.bsm"
        return str(path if path.exists() else write_tiny(path, name=name, version=version, task=task))

    return made


@pytest.fixture(scope="session")
def models(packages: dict[str, Path]) -> dict[str, Model]:
    return {task: load(path, trust=[PUBLIC]) for task, path in packages.items()}


@pytest.fixture
def send(models: dict[str, Model]) -> Any:
    """send(method, path, body, task=..., query=..., headers=..., settings...) -> Response, without sockets."""

    def send(
        method: str,
        path: str,
        body: bytes = b"",
        *,
        task: str = "binary",
        query: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        **settings: Any,
    ) -> Response:
        app = make_app(models[task], ServeSpec(**settings))
        return app.handle(Request(method, path, query or {}, headers or {}, body))

    return send


@pytest.fixture(scope="session")
def start(packages: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """start(how, settings...) -> Served"""
    key = write_public(tmp_path_factory.mktemp("key") / "key.pub")
    started: list[Served] = []

    def start(*how: str, **settings: Any) -> Served:
        started.append(Served(packages["binary"], key, settings, *how))
        return started[-1]

    yield start
    for served in started:
        served.kill()


@pytest.fixture(scope="session")
def served(start: Any) -> Served:
    """A server for all tests that do not stop it."""
    found: Served = start("lingers", max_body=64 * 1024, connections=64)
    return found


@pytest.fixture(scope="session")
def tell(packages: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """tell(settings of telemetry, env=..., settings of the server...) -> Telling, a server process."""
    from telemetry_tools import Telling

    key = write_public(tmp_path_factory.mktemp("key") / "key.pub")
    started: list[Telling] = []

    def tell(telemetry: dict[str, Any], **settings: Any) -> Telling:
        started.append(Telling(packages["binary"], key, telemetry, **settings))
        return started[-1]

    yield tell
    for each in started:
        each.kill()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    key = write_public(tmp_path / "key.pub")
    started: list[Server] = []

    def start(*arguments: str, settings: str = ADMIN) -> Server:
        started.append(Server(tmp_path, key, *arguments, settings=settings))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
        one.process.wait()
