"""The same graph with what never changes computed once: constants folded, nodes that do nothing left out."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import ClassVar

from bessemer.optimize.spec import NoSettings
from bessemer.optimize.variant import FEATURES, MARGIN, Parent, UnsuitedError, Variant
from bessemer.package.onnx_format import EXTENSIONS, FLOAT, describe, parse, serialize


class Folded:
    """onnxruntime's basic optimisations, written out: they use standard operators alone, and save their time at each
    load."""

    needs_rows: ClassVar[bool] = False
    Settings: ClassVar[type[NoSettings]] = NoSettings

    def __init__(self, settings: NoSettings) -> None:
        self.settings = settings

    def variants(self, parent: Parent) -> list[Variant]:
        if any(domain.encode() in parent.graph for domain in EXTENSIONS):
            raise UnsuitedError("it has operators of onnxruntime-extensions, which are not folded")
        return [Variant("folded", folded(parent.graph), same=True)]


def folded(graph: bytes) -> bytes:
    """The graph after onnxruntime's basic optimisations; its values `features` and the learner's margin keep their
    names."""
    import onnxruntime

    model = parse(graph)
    outputs = len(model.graph.output)
    made = {name for node in model.graph.node for name in node.output}
    for name in (FEATURES, MARGIN):  # what is an output stays
        if name in made:
            describe(model.graph.output.add(), name, FLOAT, ["N", None])
    with tempfile.TemporaryDirectory(prefix="bessemer-fold-") as folder:
        file = Path(folder) / "folded.onnx"
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(file)
        options.log_severity_level = 4
        onnxruntime.InferenceSession(serialize(model), options, providers=["CPUExecutionProvider"])
        found = parse(file.read_bytes())
    del found.graph.output[outputs:]
    kept = [(opset.domain, opset.version) for opset in model.opset_import]
    del found.opset_import[:]
    for domain, version in kept:
        found.opset_import.add(domain=domain, version=version)
    found.producer_name, found.producer_version = model.producer_name, model.producer_version
    return serialize(found)
