"""The numeric core of a network with 16-bit floats: half the size."""

from __future__ import annotations

from bessemer.export.numeric.half import halved, multiplies
from bessemer.export.protocol import Source
from bessemer.export.targets.onnx_core import OnnxCore


class OnnxFp16(OnnxCore):
    """`core.onnx`, of which products and what follows them are float16, and `encoder.json`."""

    limit: float = 5e-3

    def refuses(self, source: Source) -> str:
        if source.has_trees:
            return "its trees compare with thresholds that 16 bits do not hold"
        return "" if multiplies(source.core.graph) else "it multiplies no matrices"

    def graph(self, source: Source) -> bytes:
        return halved(source.core.graph)
