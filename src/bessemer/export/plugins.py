"""The targets: what a package can be exported to."""

from __future__ import annotations

from bessemer.core.plugins import PluginRef, PluginTable
from bessemer.export.protocol import Target

_HERE = "bessemer.export.targets"

TARGETS: PluginTable[Target] = PluginTable(
    "bessemer.targets",
    {
        "onnx": PluginRef(f"{_HERE}.onnx:Onnx", summary="the whole graph, for onnxruntime"),
        "onnx_core": PluginRef(
            f"{_HERE}.onnx_core:OnnxCore", summary="the numeric core in standard operators, with its encoder"
        ),
    },
)
