"""A core whose products are of 8-bit integers."""

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bessemer.export.numeric.core import ENCODED

#: What is quantised, and how, by name. Weights of a channel have a scale of their own where it is `static`.
Quantise = Callable[[bytes, np.ndarray], bytes]
_LAYERS = ["Gemm", "MatMul"]


def static(graph: bytes, rows: np.ndarray) -> bytes:
    """Weights and activations of all products, those by the ranges that the rows show; QDQ, a scale a channel.

    Args:
        graph: a numeric core. rows: (N, width) float32 for calibration.
    """
    return quantised(graph, _each(rows), [*_LAYERS, "Conv"])


def dense(graph: bytes, rows: np.ndarray) -> bytes:
    """The same of fully connected layers only: convolutions stay as they are."""
    return quantised(graph, _each(rows), _LAYERS)


def dynamic(graph: bytes, rows: np.ndarray) -> bytes:
    """Weights once, activations by the range that each request has; no row is needed for it."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    return _quantised(graph, lambda model, out: quantize_dynamic(model, out, weight_type=QuantType.QInt8))


def _each(rows: np.ndarray) -> Sequence[np.ndarray]:
    """Row by row: a core may take one alone."""
    return [row[None] for row in rows]


def quantised(
    graph: bytes, parts: Sequence[np.ndarray], kinds: list[str], *, name: str = ENCODED, **more: Any
) -> bytes:
    """A graph whose operators of some kinds are of 8-bit integers: QDQ, a scale a channel, ranges as rows show them.

    Args:
        parts: rows (N, width) float32 for its input `name`, a batch after the other.
        more: as `onnxruntime.quantization.quantize_static` takes it.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

    class Rows(CalibrationDataReader):  # type: ignore[misc]
        left = iter([{name: part} for part in parts])

        def get_next(self) -> Any:
            return next(self.left, None)

    def quantise(model: Any, out: Path) -> None:
        quantize_static(
            model,
            out,
            Rows(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=kinds,
            per_channel=True,
            **more,
        )

    return _quantised(graph, quantise)


def _quantised(graph: bytes, quantise: Callable[[Any, Path], object]) -> bytes:
    import onnx

    model = onnx.load_from_string(graph)
    for i, node in enumerate(model.graph.node):
        node.name = node.name or f"node_{i}"  # names are what nodes are chosen by
    with tempfile.TemporaryDirectory(prefix="bessemer-int8-") as folder, _quiet():
        out = Path(folder) / "int8.onnx"
        quantise(model, out)
        return out.read_bytes()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the advice to prepare the graph by shape inference: what is there to prepare was done."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


WAYS: Mapping[str, Quantise] = {"static": static, "dense": dense, "dynamic": dynamic}
