"""Ray Serve: one replica of a deployment behind its HTTP proxy, no dashboard, no access log."""

from __future__ import annotations

import os
import signal
from typing import Any

import numpy as np
import ray
from ray import serve
from starlette.requests import Request

from peers.serving.scorer import scorer
from peers.serving.servers.arguments import arguments


@serve.deployment(num_replicas=1, logging_config={"enable_access_log": False})
class Trees:
    def __init__(self, model: str) -> None:
        self._score = scorer(model)

    async def __call__(self, request: Request) -> dict[str, Any]:
        body = await request.json()
        return {"predictions": self._score(np.array(body["rows"], dtype=np.float32)).tolist()}


def main() -> None:
    told = arguments()
    os.environ["RAY_SERVE_LOG_TO_STDERR"] = "0"
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=100 << 20)
    serve.start(
        http_options={"host": "127.0.0.1", "port": told.port}, logging_config={"enable_access_log": False}
    )
    serve.run(Trees.bind(str(told.model)), name="model", route_prefix="/predict")
    signal.sigwait([signal.SIGTERM, signal.SIGINT])
    serve.shutdown()
    ray.shutdown()


if __name__ == "__main__":
    main()
