"""The environments of the peers: one folder each, made on demand, never the one Bessemer runs in."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

from peers.catalog import COMMON, TOOLS, Tool

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bessemer-bench"
BENCHMARKS = Path(__file__).resolve().parents[1]
#: Written last, with the requirements: without it, or with others, the environment is not used.
MARK = "requirements.txt"


def python(name: str) -> Path:
    """The interpreter that runs a tool."""
    return CACHE / name / "bin" / "python" if TOOLS[name].requirements else Path(sys.executable)


def installed(name: str) -> bool:
    mark = CACHE / name / MARK
    return not TOOLS[name].requirements or (mark.exists() and mark.read_text() == _wanted(TOOLS[name]))


def install(name: str) -> None:
    """Make a tool's environment, from nothing. The index and its settings are pip's own.

    Raises:
        CalledProcessError: pip could not.
    """
    if installed(name):
        print(f"{name} is installed: {python(name)}")
        return
    made(name, (*COMMON, *TOOLS[name].requirements))


def made(name: str, requirements: Sequence[str]) -> Path:
    """The interpreter of an environment, which is made when it is not there, or was made of something else.

    Raises:
        CalledProcessError: pip could not.
    """
    folder = CACHE / name
    found, wanted = folder / "bin" / "python", "".join(f"{line}\n" for line in requirements)
    mark = folder / MARK
    if not mark.exists() or mark.read_text() != wanted:
        print(f"installing {name} into {folder}", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True, symlinks=True)
        command = [str(found), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*command, *requirements], check=True)
        mark.write_text(wanted)
    return found


def variables(threads: int, folder: Path) -> dict[str, str]:
    """The environment variables of a run: so many threads for every library, nothing from or to the network."""
    counted = [f"{name}_NUM_THREADS" for name in ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "RAYON")]
    counts = dict.fromkeys([*counted, "POLARS_MAX_THREADS", "LOKY_MAX_CPU_COUNT"], str(threads))
    quiet = {"DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1", "MPLBACKEND": "agg"}
    paths = {
        "PYTHONPATH": os.pathsep.join([str(BENCHMARKS), str(BENCHMARKS.parent / "src")]),
        "BESSEMER_CONFIG_DIR": str(folder / "config"),
    }
    return {**os.environ, **counts, **quiet, **paths}


def _wanted(tool: Tool) -> str:
    return "".join(f"{requirement}\n" for requirement in (*COMMON, *tool.requirements))
