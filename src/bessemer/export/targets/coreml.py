"""Core ML: the numeric core as an ML program, for Apple's devices."""

from __future__ import annotations

from typing import ClassVar, Literal

from bessemer.export.outside import Outside
from bessemer.export.protocol import Source
from bessemer.export.targets.torch_export import save
from bessemer.export.torch_core import module_of

#: Rows at once: ML programs want an end to what may come.
MOST = 1024


class CoreMl(Outside):
    """`core.mlpackage`, in float32, and `encoder.json`."""

    takes: ClassVar[Literal["network"]] = "network"
    environment: ClassVar[str] = "mobile"
    worker: ClassVar[str] = "via_coreml.py"
    most = MOST

    def refuses(self, source: Source) -> str:
        module_of(source)
        return ""

    def graph(self, source: Source) -> bytes:
        return save(source, MOST)

    def elsewhere(self) -> str:
        return "Core ML runs on Apple's systems alone; what was written has been answered by nobody yet"

    def words(self, source: Source) -> str:
        return (
            f"An ML program in float32, for iOS 17 and macOS 14 or later, of 1 to {MOST} rows at once. It was written\n"
            "and not run: hold it against the package on a Mac before you rely on it."
        )

    def usage(self, source: Source) -> str:
        return """
import coremltools

model = coremltools.models.MLModel("core.mlpackage", compute_units=coremltools.ComputeUnit.CPU_ONLY)
score = model.predict({"encoded": encoded})["score"]
"""
