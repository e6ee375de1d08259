"""The bare model call that every peer makes. It runs in the peers' environments: numpy and onnxruntime alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

Array = np.ndarray[Any, Any]


def scorer(path: str | Path) -> Callable[[Array], Array]:
    """From float32 (N, 20) to float32 (N,): one onnxruntime session, one thread inside an operator."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def score(rows: Array) -> Array:
        found: Array = session.run(["score"], {"features": rows})[0]
        return found.reshape(-1)

    return score
