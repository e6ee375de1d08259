"""TensorRT: an engine for RTX GPUs, and what makes one of the core with the full SDK or onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from bessemer.core.spec import Spec
from bessemer.export.outside import Outside
from bessemer.export.protocol import Source, UncarriedError

#: Rows that the engine takes at once.
MOST = 1024
Gpu = Literal["SM75", "SM80", "SM86", "SM89", "SM120", "SM121"]


class TensorRtSettings(Spec):
    """Which GPUs it is built for."""

    gpus: list[Gpu] = Field(
        ["SM86", "SM89", "SM120"],
        min_length=1,
        max_length=6,
        description="NVIDIA's names of generations of GPUs, e.g. SM89; the engine has a part for each",
    )


class TensorRt(Outside):
    """`core.engine`, `core.onnx`, `trtexec.sh` and `encoder.json`."""

    environment: ClassVar[str] = "tensorrt"
    worker: ClassVar[str] = "via_tensorrt.py"
    Settings: ClassVar[type[Any]] = TensorRtSettings
    most = MOST

    def asks(self, source: Source) -> Mapping[str, Any]:
        return {"gpus": self.settings.gpus}

    def wrote(self, said: dict[str, Any]) -> None:
        if said["refused"]:
            raise UncarriedError(f"TensorRT says: {str(said['refused']).strip().rstrip('.')}")

    def export(self, source: Source, out: Path) -> str:
        told = super().export(source, out)
        (out / "core.onnx").write_bytes(source.core.graph)
        (out / "trtexec.sh").write_text(_trtexec(source.core.width), encoding="utf-8")
        return told

    def elsewhere(self) -> str:
        return "an engine runs on a GPU of NVIDIA's alone; it was built, and has been answered by nobody yet"

    def words(self, source: Source) -> str:
        gpus = ", ".join(self.settings.gpus)
        return f"""`core.engine` is TensorRT for RTX's, for {gpus}, in float32, of 1 to {MOST} rows at once.
It was built and not run: hold it against the package on your GPU before you rely on it. `sh trtexec.sh` builds
`core.plan` of `core.onnx` with the full TensorRT. Below, onnxruntime does so when it loads the model
(`pip install onnxruntime-gpu`)."""

    def usage(self, source: Source) -> str:
        shape = source.core.width
        return f"""
import onnxruntime

settings = {{
    "trt_fp16_enable": False,
    "trt_engine_cache_enable": True,
    "trt_engine_cache_path": "engines",
    "trt_profile_min_shapes": "encoded:1x{shape}",
    "trt_profile_opt_shapes": "encoded:64x{shape}",
    "trt_profile_max_shapes": "encoded:{MOST}x{shape}",
}}
providers = [("TensorrtExecutionProvider", settings), "CPUExecutionProvider"]
session = onnxruntime.InferenceSession("core.onnx", providers=providers)
(score,) = session.run(["score"], {{"encoded": encoded}})
"""


def _trtexec(width: int) -> str:
    shapes = [
        f"--{name}Shapes=encoded:{rows}x{width}" for name, rows in (("min", 1), ("opt", 64), ("max", MOST))
    ]
    return (
        f'#!/bin/sh\nexec trtexec --onnx=core.onnx --saveEngine=core.plan --noTF32 {" ".join(shapes)} "$@"\n'
    )
