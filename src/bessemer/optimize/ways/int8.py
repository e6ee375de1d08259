"""A network's products and convolutions in whole numbers of 8 bits."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from bessemer.optimize.spec import NoSettings
from bessemer.optimize.variant import FEATURES, Native, Parent, UnsuitedError, Variant, with_head

_KINDS = ["Conv", "Gemm", "MatMul"]
#: Rows that say what ranges values have.
_ROWS = 256


class Int8:
    """Static quantisation, a scale a channel; ranges are those of rows of the package."""

    needs_rows: ClassVar[bool] = False
    Settings: ClassVar[type[NoSettings]] = NoSettings

    def __init__(self, settings: NoSettings) -> None:
        self.settings = settings

    def variants(self, parent: Parent) -> list[Variant]:
        native = parent.native
        if native.kind != "head":
            raise UnsuitedError("only networks multiply matrices: of trees nothing would change")
        if not len(parent.X):
            raise UnsuitedError("there are no rows to take ranges from; give more with --data")
        line, _, head = native.content.partition(b"\n")
        made = []
        for name, kinds in (("8 bits", _KINDS), ("8 bits in dense layers", ["Gemm", "MatMul"])):
            quantised = quantise(head, parent.X[:_ROWS], kinds)
            if quantised is not None:
                content = line + b"\n" + quantised
                made.append(Variant(name, with_head(parent.graph, quantised), Native("head", content)))
        if not made:
            raise UnsuitedError("it has no product or convolution with constant weights")
        return made[:1] if len(made) == 2 and made[0].graph == made[1].graph else made


def quantise(head: bytes, X: np.ndarray, kinds: list[str]) -> bytes | None:
    """The head with QuantizeLinear and DequantizeLinear around its weighty operators; None where it has none of them.

    Args:
        X: (N, F) float32, rows to take ranges from.
    """
    import logging

    import onnx
    from onnxruntime import quantization

    model = onnx.load_model_from_string(head)
    if not any(node.op_type in kinds for node in model.graph.node):
        return None
    kept = [(opset.domain, opset.version) for opset in model.opset_import]
    with tempfile.TemporaryDirectory(prefix="bessemer-int8-") as folder:
        source, out = Path(folder) / "head.onnx", Path(folder) / "int8.onnx"
        source.write_bytes(head)
        quiet = logging.getLogger().level
        logging.getLogger().setLevel(logging.ERROR)  # it advises a step that is not ours
        try:
            quantization.quantize_static(
                str(source),
                str(out),
                _Rows(X),
                quant_format=quantization.QuantFormat.QDQ,
                op_types_to_quantize=kinds,
                per_channel=True,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
                extra_options={"ForceQuantizeNoInputCheck": False},
            )
        finally:
            logging.getLogger().setLevel(quiet)
        found = onnx.load_model_from_string(out.read_bytes())
    del found.opset_import[:]
    found.opset_import.extend(onnx.helper.make_opsetid(*one) for one in kept)
    found.producer_name, found.producer_version = "bessemer", ""
    del found.metadata_props[:]
    data: bytes = found.SerializeToString(deterministic=True)
    return data


class _Rows:
    """The rows, one batch after the other, as onnxruntime's calibration takes them."""

    def __init__(self, X: np.ndarray) -> None:
        self._parts: Iterator[np.ndarray] = iter(np.array_split(X, max(1, len(X) // 32)))

    def get_next(self) -> dict[str, Any] | None:
        part = next(self._parts, None)
        return None if part is None or not len(part) else {FEATURES: part}

    def __iter__(self) -> _Rows:
        return self

    def __next__(self) -> dict[str, Any]:
        found = self.get_next()
        if found is None:
            raise StopIteration
        return found

    def set_range(self, start_index: int, end_index: int) -> None:
        """All rows are always read."""
