"""OpenVINO: the numeric core as its intermediate representation, for Intel's and ARM's processors."""

from __future__ import annotations

from typing import ClassVar

from bessemer.export.outside import Outside
from bessemer.export.protocol import Source


class OpenVino(Outside):
    """`core.xml` with `core.bin`, in float32, and `encoder.json`."""

    environment: ClassVar[str] = "compilers"
    worker: ClassVar[str] = "via_openvino.py"

    def words(self, source: Source) -> str:
        return "Ask for float32: left to itself, OpenVINO computes in bfloat16 where it can, and answers other numbers."

    def usage(self, source: Source) -> str:
        return """
import openvino

settings = {"INFERENCE_PRECISION_HINT": "f32"}
model = openvino.Core().compile_model("core.xml", "CPU", settings)
score = model(encoded)["score"]
"""
