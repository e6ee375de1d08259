"""NVIDIA's PyTriton: the Triton server with a Python callable behind it, batches of up to 64 rows, as it documents."""

from __future__ import annotations

import os
import sysconfig

import numpy as np
from pytriton.decorators import batch
from pytriton.model_config import ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

from peers.serving.scorer import Array, scorer
from peers.serving.servers.arguments import arguments


def main() -> None:
    told = arguments()
    # Triton loads Python as a library: it has to be this Python's, not one that the system has beside it.
    os.environ["LD_LIBRARY_PATH"] = sysconfig.get_config_var("LIBDIR")
    score = scorer(told.model)

    @batch
    def infer(features: Array) -> list[Array]:
        return [score(features).reshape(-1, 1)]

    config = TritonConfig(
        http_address="127.0.0.1",
        http_port=told.port,
        grpc_address="127.0.0.1",
        grpc_port=told.grpc,
        allow_metrics=False,
    )
    with Triton(config=config) as triton:
        triton.bind(
            model_name="model",
            infer_func=infer,
            inputs=[Tensor(name="features", dtype=np.float32, shape=(20,))],
            outputs=[Tensor(name="score", dtype=np.float32, shape=(1,))],
            config=ModelConfig(max_batch_size=64),
        )
        triton.serve()


if __name__ == "__main__":
    main()
