"""LitServe as its documentation says: one API, one worker, no client file, no access log."""

from __future__ import annotations

import litserve
import numpy as np

from peers.serving.scorer import Array, scorer
from peers.serving.servers.arguments import arguments


class Trees(litserve.LitAPI):
    def __init__(self, model: str) -> None:
        super().__init__()
        self._model = model

    def setup(self, device: str) -> None:
        self._score = scorer(self._model)

    # without annotations, which it would take for the schema of the endpoint
    def decode_request(self, request):  # type: ignore[no-untyped-def]
        return np.array(request["rows"], dtype=np.float32)

    def predict(self, rows: Array) -> Array:
        return self._score(rows)

    def encode_response(self, score):  # type: ignore[no-untyped-def]
        return {"predictions": score.tolist()}


def main() -> None:
    told = arguments()
    server = litserve.LitServer(Trees(str(told.model)), accelerator="cpu", workers_per_device=1)
    server.run(
        host="127.0.0.1", port=told.port, generate_client_file=False, log_level="warning", access_log=False
    )


if __name__ == "__main__":
    main()
