"""Build hook: compiles the one C file, where there is a C compiler.

Without one the wheel has Python alone and onnxruntime walks the trees: slower, the same numbers.
`BESSEMER_BUILD=required` makes a failure to compile an error, for those who build wheels for others.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCE = "src/bessemer/package/trees/_walker.c"
MODULE = "bessemer.package.trees._walker"


class CBuildHook(BuildHookInterface[Any]):
    """An editable install gets the extension beside its source; a wheel gets it inside, and the tag that fits it."""

    PLUGIN_NAME = "custom"
    _place: TemporaryDirectory[str] | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel":
            return
        beside, editable = Path(self.root) / Path(SOURCE).parent, version == "editable"
        try:
            self._place = TemporaryDirectory()
            built = compiled(Path(self.root), Path(self._place.name))
        except Exception as error:
            if os.environ.get("BESSEMER_BUILD") == "required":
                raise
            self.app.display_warning(
                f"trees will be walked by onnxruntime: the C extension was not built ({error})"
            )
            for old in [*beside.glob("_walker*.so"), *beside.glob("_walker*.pyd")] if editable else []:
                old.unlink()
            return
        build_data["pure_python"] = False
        build_data["tag"] = f"cp311-abi3-{platform_tag()}"
        if editable:
            _replace(beside / built.name, built.read_bytes())
        else:
            build_data["force_include"][str(built)] = (
                f"{MODULE.rpartition('.')[0].replace('.', '/')}/{built.name}"
            )

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if self._place is not None:
            self._place.cleanup()


def _replace(path: Path, content: bytes) -> None:
    """Write a file anew: one that a process has open must not be written into."""
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    partial.write_bytes(content)
    partial.replace(path)


def platform_tag() -> str:
    """The platform of this interpreter as wheels name it, e.g. linux_x86_64."""
    return sysconfig.get_platform().replace("-", "_").replace(".", "_")


def compiled(root: Path, place: Path) -> Path:
    """Compile the extension somewhere under `place`; what the compiler's driver raises, it raises."""
    from setuptools import Distribution, Extension
    from setuptools.command.build_ext import build_ext

    # Products and sums are rounded each by itself, where the source does not say otherwise.
    exact = ["-O3", "-g0", "-fvisibility=hidden", "-ffp-contract=off", "-Wall"]
    flags = ["/O2", "/fp:precise"] if sys.platform == "win32" else exact
    extension = Extension(MODULE, [SOURCE], extra_compile_args=flags, py_limited_api=True)
    command = build_ext(Distribution({"name": "bessemer", "ext_modules": [extension]}))
    command.build_lib = command.build_temp = str(place)
    before = Path.cwd()
    os.chdir(
        root
    )  # the compiler is given the source's relative path, so that no path of this machine is in the file
    try:
        command.ensure_finalized()
        command.run()
    finally:
        os.chdir(before)
    return Path(command.get_ext_fullpath(MODULE))
