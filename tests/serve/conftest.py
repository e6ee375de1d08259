"""A real package of the tiny model, and what serves it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from serve_client import Served

from bessemer.package import keys
from bessemer.package.model import Model, load
from bessemer.package.write import write_package
from bessemer.serve.server import make_app
from bessemer.serve.spec import ServeSpec
from bessemer.serve.wire import Request, Response
from bessemer.testing.models import CLASSES, tiny_members

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A signed package file for each task."""
    folder = tmp_path_factory.mktemp("packages")
    for task in CLASSES:
        write_package(
            folder / f"{task}.bsm",
            tiny_members(task),
            name="tiny",
            version="1.0.0",
            created="2026-01-01T00:00:00Z",
            task=task,
            target="churned",
            key=KEY,
        )
    return {task: folder / f"{task}.bsm" for task in CLASSES}


@pytest.fixture(scope="session")
def models(packages: dict[str, Path]) -> dict[str, Model]:
    return {task: load(path, trust=[keys.public_of(KEY)]) for task, path in packages.items()}


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
        request = Request(method, path, query or {}, headers or {}, body)
        return app.answer(request) or app.work(request)

    return send


@pytest.fixture(scope="session")
def start(packages: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """start(slow=seconds a prediction takes, settings...) -> Served"""
    key = tmp_path_factory.mktemp("key") / "key.pub"
    key.write_bytes(keys.public_pem(keys.public_of(KEY)))
    started: list[Served] = []

    def start(*, slow: float = 0.0, **settings: Any) -> Served:
        started.append(Served(packages["binary"], key, slow, settings))
        return started[-1]

    yield start
    for served in started:
        if served.process.poll() is None:
            served.process.kill()
            served.process.communicate(timeout=15)


@pytest.fixture(scope="session")
def served(start: Any) -> Served:
    """A server for all tests that do not stop it."""
    found: Served = start(max_body=64 * 1024, read_timeout=1.0, keep_alive=5.0, connections=64)
    return found


@pytest.fixture(scope="session")
def slow_server(start: Any) -> Served:
    """A server whose every prediction takes a second in its one thread, with room for two that wait."""
    found: Served = start(slow=1.0, threads=1, queue=2, timeout=1.6)
    return found
