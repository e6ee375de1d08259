"""IREE: the numeric core compiled to a module that its runtime loads, with no compiler or linker on either side."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from bessemer.core.spec import Spec
from bessemer.export.outside import Outside
from bessemer.export.protocol import Source

_ALSO = {"amd64": "x86_64", "arm64": "aarch64"}


def this_processor() -> str:
    machine = platform.machine().lower()
    return _ALSO.get(machine, machine)


class IreeSettings(Spec):
    """What it is compiled for."""

    processor: Literal["x86_64", "aarch64", "riscv64", "arm"] | None = Field(
        None, description="the processor that runs it, in its plainest form; by default this machine's"
    )


class Iree(Outside):
    """`core.vmfb` and `encoder.json`."""

    environment: ClassVar[str] = "compilers"
    worker: ClassVar[str] = "via_iree.py"
    Settings: ClassVar[type[Any]] = IreeSettings

    @property
    def processor(self) -> str:
        return self.settings.processor or this_processor()

    def asks(self, source: Source) -> Mapping[str, Any]:
        return {"triple": f"{self.processor}-unknown-unknown-eabi-elf"}

    def elsewhere(self) -> str:
        if self.processor == this_processor():
            return ""
        return f"it was compiled for {self.processor}, and this machine's processor is {this_processor()}"

    def words(self, source: Source) -> str:
        return f"`core.vmfb` is compiled for {self.processor} in its plainest form, on any system."

    def usage(self, source: Source) -> str:
        score = "answers[0]" if len(source.core.outputs) > 1 else "answers"
        return f"""
import iree.runtime
import numpy as np

context = iree.runtime.SystemContext(config=iree.runtime.Config("local-sync"))
context.add_vm_module(iree.runtime.VmModule.mmap(context.instance, "core.vmfb"))
answers = context.modules.module["core"](encoded)
score = np.asarray({score})
"""
