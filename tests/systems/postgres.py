"""A real PostgreSQL server for a test: its own data, its own port, gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ports import free_port

#: A user that the server lets in with a password alone; everybody else it believes.
LOCKED = "locked"
_RULES = f"host all {LOCKED} 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n"


def _program(name: str) -> str:
    found = shutil.which(name) or next(
        map(str, sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))), ""
    )
    assert found, f"no '{name}' here: install PostgreSQL with your package manager"
    return found


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of a server that is up. It never runs as root, which it refuses."""
    folder = Path(tempfile.mkdtemp(prefix="bessemer-postgres-"))
    owner = {"user": "nobody", "group": pwd.getpwnam("nobody").pw_gid} if os.geteuid() == 0 else {}
    if owner:
        shutil.chown(folder, "nobody", pwd.getpwnam("nobody").pw_gid)
    port = free_port()
    data = str(folder / "data")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}"
    run = {"check": True, "cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **owner}
    initdb = [_program("initdb"), "-D", data, "-U", "me", "-A", "trust", "-E", "UTF8", "--locale=C"]
    subprocess.run(initdb, **run)  # type: ignore[call-overload]
    (folder / "data" / "pg_hba.conf").write_text(_RULES)
    control = [_program("pg_ctl"), "-D", data, "-w", "-t", "300"]
    subprocess.run([*control, "-o", options, "-l", str(folder / "log"), "start"], **run)  # type: ignore[call-overload]
    try:
        yield f"postgres://me@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], **run)  # type: ignore[call-overload]
        shutil.rmtree(folder, ignore_errors=True)
