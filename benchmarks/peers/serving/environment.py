"""The environments of the servers: one folder each, made on demand, never the one Bessemer runs in."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from peers.environment import BENCHMARKS, CACHE, MARK, made
from peers.serving.catalog import PEERS, Peer


def python(name: str) -> Path:
    """The interpreter that runs a server."""
    return CACHE / name / "bin" / "python" if PEERS[name].requirements else Path(sys.executable)


def installed(name: str) -> bool:
    mark = CACHE / name / MARK
    return not PEERS[name].requirements or (mark.exists() and mark.read_text() == _wanted(PEERS[name]))


def install(name: str) -> None:
    """Make a server's environment, from nothing. The index and its settings are pip's own.

    Raises:
        CalledProcessError: pip could not.
    """
    if installed(name):
        print(f"{name} is installed: {python(name)}")
        return
    made(name, PEERS[name].requirements)


def try_install(name: str) -> bool:
    """Whether it is installed now; what pip said stands on the terminal."""
    try:
        install(name)
    except subprocess.CalledProcessError as error:
        print(f"{name} could not be installed: {error}", file=sys.stderr, flush=True)
        return False
    return True


def version(name: str) -> str:
    """The server's own package and its version, as its environment has it."""
    package = (
        PEERS[name].requirements[0].partition("==")[0].partition("[")[0] if PEERS[name].requirements else name
    )
    code = f"from importlib.metadata import version; print(version({package!r}))"
    done = subprocess.run([python(name), "-c", code], capture_output=True, text=True, check=True)
    return f"{package} {done.stdout.strip()}"


def variables(name: str) -> dict[str, str]:
    """The environment variables of a server: its own programs first, one thread a library, no network, no telemetry."""
    counts = dict.fromkeys([f"{name}_NUM_THREADS" for name in ("OMP", "OPENBLAS", "MKL")], "1")
    quiet = {
        "DO_NOT_TRACK": "1",
        "HF_HUB_OFFLINE": "1",
        "BENTOML_DO_NOT_TRACK": "True",
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    found = os.pathsep.join([str(BENCHMARKS), str(BENCHMARKS.parent / "src")])
    path = f"{python(name).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, **counts, **quiet, "PYTHONPATH": found, "PATH": path}


def _wanted(peer: Peer) -> str:
    return "".join(f"{requirement}\n" for requirement in peer.requirements)
