"""BentoML with a service class that takes and gives arrays; one worker (its default), no access log."""

from __future__ import annotations

import os
import sys

import bentoml
import numpy as np

from peers.serving.scorer import scorer
from peers.serving.servers.arguments import MODEL, arguments

QUIET = {"access": {"enabled": False}}


@bentoml.service(traffic={"timeout": 60}, logging=QUIET)
class Trees:
    def __init__(self) -> None:
        self._score = scorer(os.environ[MODEL])

    @bentoml.api
    def predict(self, rows: np.ndarray) -> np.ndarray:
        return self._score(rows.astype(np.float32))


def main() -> None:
    told = arguments()
    os.environ["BENTOML_HOME"] = str(told.folder)
    service = "peers.serving.servers.bentoml:Trees"
    command = [
        sys.executable,
        "-m",
        "bentoml",
        "serve",
        service,
        "--host",
        "127.0.0.1",
        "--port",
        str(told.port),
    ]
    os.execv(sys.executable, command)


if __name__ == "__main__":
    main()
