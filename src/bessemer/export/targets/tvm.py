"""Apache TVM: the numeric core compiled to a shared library."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from bessemer.core.spec import Spec
from bessemer.environments.errors import ToolError
from bessemer.export.outside import Outside
from bessemer.export.protocol import Source


def this_machine() -> str:
    """LLVM's name for Linux on this processor."""
    return f"{platform.machine().lower().replace('amd64', 'x86_64').replace('arm64', 'aarch64')}-linux-gnu"


class TvmSettings(Spec):
    """What it is compiled for."""

    triple: str = Field(
        default_factory=this_machine,
        pattern=r"^[A-Za-z0-9_.-]{1,64}$",
        description="LLVM's name of the machine that runs it; by default this one, without what only newer ones have",
    )
    compiler: str = Field(
        "cc",
        pattern=r"^[A-Za-z0-9_.+-]{1,64}$",
        description="the C compiler that links it: for another machine, one that links for that",
    )


class Tvm(Outside):
    """`core.so` and `encoder.json`."""

    environment: ClassVar[str] = "compilers"
    worker: ClassVar[str] = "via_tvm.py"
    Settings: ClassVar[type[Any]] = TvmSettings

    def asks(self, source: Source) -> Mapping[str, Any]:
        return {"triple": self.settings.triple, "compiler": self.settings.compiler}

    def export(self, source: Source, out: Path) -> str:
        if not shutil.which(self.settings.compiler):
            raise ToolError(
                f"there is no C compiler '{self.settings.compiler}'",
                why="TVM links what it compiles with one",
                fix="install one (`apt-get install gcc`), or name another with --set compiler=NAME",
            )
        return super().export(source, out)

    def elsewhere(self) -> str:
        if self.settings.triple == this_machine():
            return ""
        return f"it was compiled for {self.settings.triple}, and this machine is {this_machine()}"

    def words(self, source: Source) -> str:
        return f"`core.so` is compiled for {self.settings.triple}."

    def usage(self, source: Source) -> str:
        score = "answers[0].numpy()" if len(source.core.outputs) > 1 else "answers.numpy()"
        return f"""
import tvm
from tvm import relax

core = relax.VirtualMachine(tvm.runtime.load_module("./core.so"), tvm.cpu())
answers = core["main"](tvm.runtime.tensor(encoded))
score = {score}
"""
