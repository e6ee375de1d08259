"""A network's products and convolutions in whole numbers of 8 bits."""

from __future__ import annotations

from typing import ClassVar

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
    import onnx
    from onnxruntime.quantization import QuantType

    from bessemer.export.numeric.int8 import quantised

    model = onnx.load_model_from_string(head)
    if not any(node.op_type in kinds for node in model.graph.node):
        return None
    parts = np.array_split(X, max(1, len(X) // 32))
    types = {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8}
    found = onnx.load_model_from_string(quantised(head, parts, kinds, name=FEATURES, **types))
    del found.opset_import[:]
    found.opset_import.extend(model.opset_import)
    found.producer_name, found.producer_version = "bessemer", ""
    del found.metadata_props[:]
    data: bytes = found.SerializeToString(deterministic=True)
    return data
