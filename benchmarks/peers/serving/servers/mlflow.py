"""MLflow's scoring server with its own ONNX flavour; one worker, no access log."""

from __future__ import annotations

import os
import sys

import mlflow
import numpy as np
import onnx
from mlflow.models import ModelSignature
from mlflow.types import Schema, TensorSpec

from peers.serving.servers.arguments import arguments


def main() -> None:
    told = arguments()
    float32 = np.dtype(np.float32)
    signature = ModelSignature(
        Schema([TensorSpec(float32, (-1, 20), "features")]), Schema([TensorSpec(float32, (-1, 1), "score")])
    )
    threads = {"extra_session_config": {}, "intra_op_num_threads": 1, "inter_op_num_threads": 1}
    mlflow.onnx.save_model(
        onnx.load(told.model), told.folder / "model", signature=signature, onnx_session_options=threads,
        onnx_execution_providers=["CPUExecutionProvider"], pip_requirements=["onnxruntime"],
    )  # fmt: skip
    os.environ |= {"UVICORN_ACCESS_LOG": "false", "UVICORN_LOG_LEVEL": "warning"}
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(told.folder / "model")]
    command += ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(told.port), "--workers", "1"]
    os.execv(sys.executable, command)


if __name__ == "__main__":
    main()
