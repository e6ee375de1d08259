"""MLServer with a custom runtime, as its documentation says; one parallel worker (its default), no access log."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse

from peers.serving.scorer import scorer
from peers.serving.servers.arguments import MODEL, arguments


class Trees(MLModel):
    async def load(self) -> bool:
        self._score = scorer(os.environ[MODEL])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        rows = NumpyCodec.decode_input(payload.inputs[0])
        score = self._score(rows).reshape(-1, 1)
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output("score", score)])


def main() -> None:
    told = arguments()
    settings = {
        "host": "127.0.0.1", "http_port": told.port, "grpc_port": told.grpc, "metrics_endpoint": None,
        "debug": False, "logging_settings": {"version": 1, "root": {"level": "WARNING"}},
    }  # fmt: skip
    model = {"name": "model", "implementation": "peers.serving.servers.mlserver.Trees"}
    (told.folder / "settings.json").write_text(json.dumps(settings))
    (told.folder / "model-settings.json").write_text(json.dumps(model))
    program = str(Path(sys.executable).with_name("mlserver"))
    os.execv(program, [program, "start", str(told.folder)])


if __name__ == "__main__":
    main()
