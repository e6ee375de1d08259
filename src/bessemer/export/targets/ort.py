"""The whole graph in ORT format: optimised already, for onnxruntime where it is built small (mobile, web)."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from bessemer.core.spec import Spec
from bessemer.export.base import Base
from bessemer.export.ort_format import canonical
from bessemer.export.protocol import Answers, Source
from bessemer.export.samples import Samples
from bessemer.export.targets.onnx import graph_latency, run_graph, usage
from bessemer.package.runtime import session_options

FILE = "model.ort"


class OrtSettings(Spec):
    optimise: Literal["basic", "extended"] = Field(
        "extended",
        description="basic: operators of ONNX only, for every build; extended: fused ones too, which the CPU has",
    )


class Ort(Base):
    """`model.ort`."""

    takes: ClassVar[Literal["graph"]] = "graph"
    limit: float = 1e-6
    Settings: ClassVar[type[OrtSettings]] = OrtSettings

    def refuses(self, source: Source) -> str:
        return ""

    def export(self, source: Source, out: Path) -> str:
        import onnxruntime

        level = {"basic": "ORT_ENABLE_BASIC", "extended": "ORT_ENABLE_EXTENDED"}[self.settings.optimise]
        with tempfile.TemporaryDirectory(prefix="bessemer-ort-") as folder:
            options = session_options(source.graph, 1)
            options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
            options.optimized_model_filepath = str(Path(folder) / FILE)
            options.add_session_config_entry("session.save_model_format", "ORT")
            onnxruntime.InferenceSession(source.graph, options, providers=["CPUExecutionProvider"])
            (out / FILE).write_bytes(canonical((Path(folder) / FILE).read_bytes()))
        return (
            f"{usage(source, FILE)}\nonnxruntime {onnxruntime.__version__} wrote it; later versions read it."
        )

    def check(self, source: Source, out: Path, samples: Samples) -> Answers:
        return run_graph(source, _opened(source, out), samples)

    def latency(self, source: Source, out: Path, samples: Samples) -> dict[str, float]:
        return graph_latency(source, _opened(source, out), samples)


def _opened(source: Source, out: Path) -> Any:
    import onnxruntime

    options = session_options(source.graph, 1)
    return onnxruntime.InferenceSession(str(out / FILE), options, providers=["CPUExecutionProvider"])
