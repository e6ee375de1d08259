"""onnxruntime, as every graph of ours is run."""

from __future__ import annotations

import ctypes
import importlib.util
import sys
from functools import cache
from pathlib import Path
from typing import Any

from bessemer.core.errors import MissingExtra
from bessemer.package.onnx_format import EXTENSIONS
from bessemer.package.row_bytes import InParts, row_bytes


def open_session(model: bytes, threads: int) -> Any:
    """An onnxruntime session on the CPU, sequential, with `threads` threads inside an operator.

    A graph that says how much a row takes is run over some rows at once (`row_bytes.InParts`).

    Raises:
        MissingExtra: the graph has operators of onnxruntime-extensions, which is not installed.
    """
    import onnxruntime as ort

    session = ort.InferenceSession(model, session_options(model, threads), providers=["CPUExecutionProvider"])
    size = row_bytes(model)
    return InParts(session, size) if size else session


def session_options(model: bytes, threads: int) -> Any:
    """How `open_session` opens a graph.

    Raises:
        MissingExtra: the graph has operators of onnxruntime-extensions, which is not installed.
    """
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    # Threads that spin while they wait take the core from those who work.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if any(domain.encode() in model for domain in EXTENSIONS):  # the domains that it uses stand in it
        options.register_custom_ops_library(str(_extensions()))
        options.log_severity_level = 4  # what cannot be decoded is an error of the request, and told as such
    return options


@cache
def _extensions() -> Path:
    """The library of onnxruntime-extensions. The package itself is not imported: it would import torch and onnx."""
    found = importlib.util.find_spec("onnxruntime_extensions")
    for folder in (found.submodule_search_locations or ()) if found else ():
        for path in sorted(Path(folder).glob("_extensions_pydll*")):
            if path.suffix in (".so", ".pyd"):
                return path
    raise MissingExtra("this model", "onnxruntime_extensions", "images")


def give_back() -> None:
    """Let the system have what was freed: glibc keeps the hundreds of megabytes that parsing a large graph took."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
