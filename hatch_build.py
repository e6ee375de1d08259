"""Build hook: compiles the C files, where there is a C compiler.

Without one the wheel has Python alone; onnxruntime walks the trees, numpy explains them, and Arrow parses messages:
slower, the same values.
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

#: Each stands as a C file in the folder of its package.
MODULES = (
    "bessemer.package.trees._walker",
    "bessemer.package.trees._shapley",
    "bessemer.acquire.streams.decoders._scanner",
)


class CBuildHook(BuildHookInterface[Any]):
    """An editable install gets the extensions beside their source; a wheel gets them inside, and the tag that fits."""

    PLUGIN_NAME = "custom"
    _place: TemporaryDirectory[str] | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel":
            return
        editable = version == "editable"
        try:
            self._place = TemporaryDirectory()
            built = compiled(Path(self.root), Path(self._place.name))
        except Exception as error:
            if os.environ.get("BESSEMER_BUILD") == "required":
                raise
            self.app.display_warning(
                f"trees are walked by onnxruntime, messages parsed by Arrow: the C extensions were not built ({error})"
            )
            for folder in {(Path(self.root) / source_of(module)).parent for module in MODULES if editable}:
                for old in [*folder.glob("_*.so"), *folder.glob("_*.pyd")]:
                    old.unlink()
            return
        build_data["pure_python"] = False
        build_data["tag"] = f"cp311-abi3-{platform_tag()}"
        for module, one in built.items():
            place = source_of(module).with_name(one.name)
            if editable:
                _replace(Path(self.root) / place, one.read_bytes())
            else:
                build_data["force_include"][str(one)] = place.relative_to("src").as_posix()

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


def source_of(module: str) -> Path:
    """The C file of a module, from the root of the project."""
    return Path("src", *module.split(".")).with_suffix(".c")


def compiled(root: Path, place: Path) -> dict[str, Path]:
    """Compile the extensions somewhere under `place`; what the compiler's driver raises, it raises."""
    from setuptools import Distribution, Extension
    from setuptools.command.build_ext import build_ext

    # Products and sums are rounded each by itself, where the source does not say otherwise.
    exact = ["-O3", "-g0", "-fvisibility=hidden", "-ffp-contract=off", "-Wall"]
    flags = ["/O2", "/fp:precise"] if sys.platform == "win32" else exact
    extensions = [
        Extension(module, [source_of(module).as_posix()], extra_compile_args=flags, py_limited_api=True)
        for module in MODULES
    ]
    command = build_ext(Distribution({"name": "bessemer", "ext_modules": extensions}))
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
    return {module: Path(command.get_ext_fullpath(module)) for module in MODULES}
