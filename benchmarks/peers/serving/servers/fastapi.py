"""FastAPI and uvicorn by hand: what one writes without a model server. One worker, no access log."""

from __future__ import annotations

import numpy as np
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from peers.serving.scorer import scorer
from peers.serving.servers.arguments import arguments


class Rows(BaseModel):
    rows: list[list[float]]


class Predictions(BaseModel):
    predictions: list[float]


def main() -> None:
    told = arguments()
    app, score = FastAPI(), scorer(told.model)

    @app.post("/predict")
    async def predict(body: Rows) -> Predictions:
        return Predictions(predictions=score(np.array(body.rows, dtype=np.float32)).tolist())

    uvicorn.run(app, host="127.0.0.1", port=told.port, access_log=False, log_level="warning")


if __name__ == "__main__":
    main()
