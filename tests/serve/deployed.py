"""A server in this process whose models can be changed: real deployments, and a key that may."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from serve_packages import PUBLIC, write_tiny

from bessemer.package.model import load
from bessemer.serve.app import App, House
from bessemer.serve.deployments.deployments import Deployments
from bessemer.serve.deployments.state import StateFile
from bessemer.serve.guards.guard import Guard
from bessemer.serve.guards.keyfile import add_key
from bessemer.serve.guards.spec import AccessSpec
from bessemer.serve.spec import ServeSpec
from bessemer.serve.wire import Request, Response


def package(folder: Path, version: str) -> Path:
    """A signed package of a version of the tiny model."""
    return write_tiny(folder / f"tiny-{version}.bsm", version=version)


class Deployed:
    """An application for version 1.0.0 of the tiny model."""

    def __init__(self, app: App, key: str) -> None:
        self.app = app
        self._headers = {"authorization": f"Bearer {key}"}

    def send(self, method: str, path: str, body: bytes = b"", **query: str) -> Response:
        """The answer to one who may do everything."""
        return self.app.handle(Request(method, path, query, self._headers, body))


@contextlib.contextmanager
def deployed(folder: Path, **settings: Any) -> Iterator[Deployed]:
    key = add_key(folder / "keys.yaml", "operator", scopes=["predict", "admin"])
    spec = ServeSpec(**settings)
    access = AccessSpec.model_validate({"keys": {"file": "keys.yaml"}})
    with ThreadPoolExecutor(2) as pool:
        models = Deployments(
            spec, StateFile(folder / "state"), lambda source: load(source, trust=[PUBLIC]), pool
        )
        models.start([str(package(folder, "1.0.0"))])
        yield Deployed(App(models, House(guard=Guard(access, folder=folder))), key)
