"""An environment: where it is, whether it is whole, and how it is made."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal

from bessemer.core.lock import Busy, exclusive
from bessemer.core.store import explained
from bessemer.environments.tools import run_tool

#: Where environments are, instead of the user's cache folder.
VARIABLE = "BESSEMER_ENVIRONMENTS"
#: How the line begins that says so.
INSTALLING = "installing the environment"
#: Is written last: a folder without it was not finished.
_READY = "READY"


#: Seconds that one process waits for another that is installing.
_WAIT = 3600.0
_BUSY = Busy(
    "another process is installing this environment",
    "two at once would spoil it",
    "wait for it, then try again",
)

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Environment:
    """kind: what installs it: `python` (a virtual environment), `node` (npm).

    summary: what it is for. megabytes: what it takes on disk, about. packages: a text file of pinned requirements, or
    for npm a folder with package.json and package-lock.json, beside this module.
    """

    name: str
    kind: Literal["python", "node"]
    summary: str
    megabytes: int
    packages: str

    @property
    def folder(self) -> Path:
        """Where it is, or would be."""
        return home() / f"{self.name}-{self._digest()[:12]}"

    @property
    def ready(self) -> bool:
        return (self.folder / _READY).is_file()

    @property
    def program(self) -> Path:
        """Its interpreter: Python's, or node."""
        if self.kind == "python":
            return self.folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        return Path(shutil.which("node") or "node")

    def ensure(self, tell: Tell) -> Path:
        """Its folder; made, with progress, where it is not there yet. Two processes make it once.

        Raises:
            ToolError: it cannot be installed. StoreError: disk full or read-only.
        """
        if not self.ready:
            with explained("install into", self.folder), exclusive(self._lock, wait=_WAIT, busy=_BUSY):
                if not self.ready:
                    tell(f"{INSTALLING} {self.name} (about {self.megabytes} MB), once")
                    self._make(tell)
        return self.folder

    @property
    def _lock(self) -> Path:
        return _lock_of(self.folder)

    def remove(self) -> bool:
        """Remove it, and what earlier lists of packages made; whether there was any. One that is being installed is
        waited for.
        """
        mark = re.compile(re.escape(self.name) + r"-[0-9a-f]{12}")
        found = [path for path in home().glob("*") if path.is_dir() and mark.fullmatch(path.name)]
        for path in found:
            with exclusive(_lock_of(path), wait=_WAIT, busy=_BUSY):
                if path.exists():  # nobody else removed it meanwhile
                    shutil.rmtree(path)
        return bool(found)

    def _make(self, tell: Tell) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        (_python if self.kind == "python" else _node)(self, tell)
        (self.folder / _READY).write_text("ok\n", encoding="utf-8")

    def _digest(self) -> str:
        said = [self.kind, platform.system(), platform.machine(), *_content(self)]
        if self.kind == "python":
            said.append(platform.python_version())
        return hashlib.sha256("\n".join(said).encode()).hexdigest()


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def home() -> Path:
    """The folder of all environments."""
    if chosen := os.environ.get(VARIABLE):
        return Path(chosen).absolute()  # workers run in other folders
    import platformdirs

    return Path(platformdirs.user_cache_dir("bessemer")) / "environments"


def _content(environment: Environment) -> list[str]:
    place = files("bessemer.environments").joinpath(environment.packages)
    parts = [place] if environment.kind == "python" else [place / "package.json", place / "package-lock.json"]
    return [part.read_text(encoding="utf-8") for part in parts]


def _python(environment: Environment, tell: Tell) -> None:
    """A virtual environment of exactly what is listed. torch goes in by pip and with what it needs, because pip's own
    settings say which build of it a machine takes (for a CPU or a GPU)."""
    (wanted,) = _content(environment)
    torch, others = _apart(wanted)
    uv, python = _uv(), str(environment.program)
    if uv:
        run_tool(
            [uv, "venv", "--quiet", "--python", sys.executable, "--allow-existing", str(environment.folder)]
        )
        install = [uv, "pip", "install", "--python", python]
    else:
        run_tool([sys.executable, "-m", "venv", str(environment.folder)])
        install = [python, "-m", "pip", "--disable-pip-version-check", "--no-input", "install"]
    listed = environment.folder / "requirements.txt"
    listed.write_text(others, encoding="utf-8")
    run_tool([*install, "--no-deps", "-r", str(listed)], tell=tell)
    if torch:
        pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check", "--no-input"]
        run_tool([*pip, "install", torch], tell=tell)


def _apart(wanted: str) -> tuple[str, str]:
    """What is wanted of torch, '' where nothing is, and the other lines."""
    lines = wanted.splitlines(keepends=True)
    torch = [line for line in lines if re.match(r"torch\s*==", line)]
    return "".join(torch).strip(), "".join(line for line in lines if line not in torch)


def _uv() -> str | None:
    """uv installs the same packages some times sooner."""
    beside = Path(sys.executable).with_name("uv")
    return shutil.which("uv") or (str(beside) if beside.is_file() else None)


def _node(environment: Environment, tell: Tell) -> None:
    for name, content in zip(("package.json", "package-lock.json"), _content(environment), strict=True):
        (environment.folder / name).write_text(content, encoding="utf-8")
    run_tool(
        ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], folder=environment.folder, tell=tell
    )
