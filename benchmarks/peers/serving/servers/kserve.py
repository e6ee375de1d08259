"""KServe's Python server with a custom model, as its documentation says; one worker, no access log."""

from __future__ import annotations

import os
from typing import Any

os.environ["KSERVE_LOGLEVEL"] = "WARNING"  # it is read at import; otherwise three lines a request

import numpy as np
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer
from kserve.logging import KSERVE_LOG_CONFIG

from peers.serving.scorer import scorer
from peers.serving.servers.arguments import Arguments, arguments


class Trees(Model):
    def __init__(self, told: Arguments) -> None:
        super().__init__("model")
        self._score = scorer(told.model)
        self.ready = True

    async def predict(self, payload: InferRequest, *_: Any, **__: Any) -> InferResponse:
        rows = payload.inputs[0].as_numpy()
        score = self._score(rows.astype(np.float32, copy=False)).reshape(-1, 1)
        output = InferOutput(name="score", shape=list(score.shape), datatype="FP32")
        output.set_data_from_numpy(score, binary_data=payload.use_binary_outputs)
        return InferResponse(
            response_id=payload.id or "0", model_name=self.name, infer_outputs=[output],
            use_binary_outputs=payload.use_binary_outputs, requested_outputs=payload.request_outputs,
        )  # fmt: skip


def main() -> None:
    told = arguments()
    KSERVE_LOG_CONFIG["loggers"]["uvicorn.access"]["level"] = "WARNING"
    server = ModelServer(
        http_port=told.port,
        grpc_port=told.grpc,
        workers=1,
        enable_docs_url=False,
        enable_latency_logging=False,
    )
    server.start([Trees(told)])


if __name__ == "__main__":
    main()
