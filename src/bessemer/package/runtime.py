"""onnxruntime, as every graph of ours is run."""

from __future__ import annotations

import ctypes
import sys
from typing import Any


def open_session(model: bytes, threads: int) -> Any:
    """An onnxruntime session on the CPU, sequential, with `threads` threads inside an operator."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    # Threads that spin while they wait take the core from those who work.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def give_back() -> None:
    """Let the system have what was freed: glibc keeps the hundreds of megabytes that parsing a large graph took."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
