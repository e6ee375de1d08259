"""Environments of their own for clients that clash with ours: made once on a machine, and kept."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from bessemer.environments.place import VARIABLE

#: Where what is made once on a machine is kept.
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "bessemer-tests"


@pytest.fixture(scope="session", autouse=True)
def kept_environments() -> Iterator[None]:
    """Bessemer's own environments of tools are made once on a machine, and kept; a conftest imports this."""
    patch = pytest.MonkeyPatch()
    patch.setenv(VARIABLE, str(CACHE / "environments"))
    yield
    patch.undo()


def environment(name: str, *requirements: str) -> Path:
    """The Python of an environment with exactly these packages installed (pin them: `name==version`), and pip where
    setuptools is one of them.

    Two runs at once wait for each other; an environment that was not finished is made anew.
    """
    mark = hashlib.sha256("\n".join([sys.version, *requirements]).encode()).hexdigest()[:12]
    folder = CACHE / f"{name}-{mark}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with Path(f"{folder}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / ".complete").exists():
            # our own pip fills it: another takes seconds to install, and compiling all modules takes longer still
            builds = any(each.startswith("setuptools") for each in requirements)
            venv.create(folder, clear=True, with_pip=builds)
            command = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install"]
            made = subprocess.run(
                [*command, "--quiet", "--no-compile", *requirements], capture_output=True, text=True
            )
            assert made.returncode == 0, f"cannot install {requirements}:\n{made.stderr}"
            (folder / ".complete").touch()
    return folder / "bin" / "python"


def run(python: Path, script: str, *arguments: str, timeout: float = 300) -> str:
    """What a script prints in an environment; it must end well."""
    done = subprocess.run(
        [str(python), "-c", script, *arguments], capture_output=True, text=True, timeout=timeout
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
