"""ExecuTorch: the numeric core for phones and small devices, in torch's runtime for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from bessemer.core.spec import Spec
from bessemer.export.outside import Outside
from bessemer.export.protocol import Source
from bessemer.export.targets.torch_export import save
from bessemer.export.torch_core import module_of


class ExecutorchSettings(Spec):
    """What computes it there."""

    delegate: Literal["xnnpack", "none"] = Field(
        "xnnpack",
        description="`xnnpack`: what it knows is left to it, for ARM and x86; `none`: ExecuTorch's own operators",
    )
    rows: int = Field(
        64, ge=2, le=4096, description="rows that can be asked for at once: memory is set aside for so many"
    )


class Executorch(Outside):
    """`core.pte` and `encoder.json`."""

    takes: ClassVar[Literal["network"]] = "network"
    environment: ClassVar[str] = "mobile"
    worker: ClassVar[str] = "via_executorch.py"
    Settings: ClassVar[type[Any]] = ExecutorchSettings

    @property
    def most(self) -> int:  # type: ignore[override]
        rows: int = self.settings.rows
        return rows

    def refuses(self, source: Source) -> str:
        module_of(source)
        return ""

    def graph(self, source: Source) -> bytes:
        return save(source, self.most)

    def asks(self, source: Source) -> Mapping[str, Any]:
        return {"delegate": self.settings.delegate}

    def wrote(self, said: dict[str, Any]) -> None:
        self._rows = int(said["rows"])

    def words(self, source: Source) -> str:
        return f"It takes 1 to {self._rows} rows at once."

    def usage(self, source: Source) -> str:
        return """
import torch
from executorch.runtime import Runtime

core = Runtime.get().load_program("core.pte").load_method("forward")
score = core.execute([torch.from_numpy(encoded)])[0].numpy()
"""
