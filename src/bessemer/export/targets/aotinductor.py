"""AOTInductor: the core compiled to machine code for the CPU, which torch runs in Python and C++ without a compiler."""

from __future__ import annotations

import logging
import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from bessemer.core.spec import Spec
from bessemer.environments.work import work_here
from bessemer.export.protocol import Source
from bessemer.export.targets.torch_export import save
from bessemer.export.torch_format import TorchFormat

#: One process compiles one thing: nothing is worth preparing for a second one. Names by digests, and what debuggers
#: read, have folders of this machine in them.
_PLAIN = {
    "compile_threads": 1,
    "cpp_cache_precompile_headers": False,
    "aot_inductor.precompile_headers": False,
    "aot_inductor.model_name_for_generated_files": "core",
    "aot_inductor.enable_line_tables": False,
}
#: Of x86-64: AVX2, which processors have had since 2013. What else the compiler could make is not tried out.
_GENERAL = {"cpp.march": "x86-64-v3", "cpp.simdlen": 256, "cpp.vec_isa_ok": True}


class InductorSettings(Spec):
    cpu: Literal["general", "native"] = Field(
        "general",
        description="general: it runs on other machines too (x86-64 with AVX2); native: all that this processor can",
    )


class AotInductor(TorchFormat):
    """`core.pt2` with a shared library inside, and `encoder.json`."""

    FILE = "core.pt2"
    RUNTIME = "AOTInductor"
    LOADED = 'torch._inductor.aoti_load_package("core.pt2")'

    limit: float = 1e-5
    Settings: ClassVar[type[Spec]] = InductorSettings

    settings: InductorSettings

    def refuses(self, source: Source) -> str:
        compiler = os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")
        if shutil.which(compiler) is None:
            return (
                f"it needs a C++ compiler, and there is no '{compiler}' on the PATH: install it, or set CXX"
            )
        return super().refuses(source)

    def remark(self) -> str:
        return f"""It runs on {platform.system()} ({platform.machine()}) with the version of torch
that EXPORT.json names; in C++ `torch::inductor::AOTIModelPackageLoader` loads it."""

    def write(self, source: Source, file: Path) -> None:
        with tempfile.TemporaryDirectory(prefix="bessemer-inductor-") as folder:
            program = Path(folder) / "program.pt2"
            program.write_bytes(save(source))
            source.tell("compiling")
            question = {"program": str(program), "package": str(file.resolve()), "options": self._options()}
            work_here("aotinductor_compile.py", question, tell=source.tell)

    def _options(self) -> dict[str, Any]:
        general = self.settings.cpu == "general" and platform.machine() in ("x86_64", "AMD64")
        return {**_PLAIN, **(_GENERAL if general else {})}

    def load(self, file: Path) -> Any:
        import torch

        # It warns that this processor has more than the library was compiled for.
        log = logging.getLogger("torch.export.pt2_archive._package")
        before = log.level
        log.setLevel(logging.ERROR)
        try:
            return torch._inductor.aoti_load_package(str(file))
        finally:
            log.setLevel(before)
