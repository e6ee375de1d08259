"""Where Java is."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from bessemer.core.errors import EnvironmentFault

#: Folders of Java that are asked before the PATH, and after it.
_BEFORE, _AFTER = "H2O_JAVA_HOME", "JAVA_HOME"
_SECONDS = 20


def java(wanted_by: str) -> str:
    """The path of a `java` that runs: of H2O_JAVA_HOME, the PATH, or JAVA_HOME, in this order.

    Raises:
        EnvironmentFault: there is none.
    """
    homes = {name: Path(os.environ[name]) / "bin" for name in (_BEFORE, _AFTER) if os.environ.get(name)}
    path = [str(homes.get(_BEFORE, "")), os.environ.get("PATH", ""), str(homes.get(_AFTER, ""))]
    found = shutil.which("java", path=os.pathsep.join(part for part in path if part) or os.devnull)
    if found is None:
        raise _fault(f"'{wanted_by}' needs Java, and there is no `java` on the PATH or in JAVA_HOME")
    try:
        # without UsePerfData: it leaves a folder in /tmp
        done = subprocess.run(  # noqa: S603 - no shell
            [found, "-XX:-UsePerfData", "-version"],
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _fault(f"'{wanted_by}' needs Java, and {found} does not run: {error}") from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip().partition("\n")[0]
        raise _fault(f"'{wanted_by}' needs Java, and {found} does not run: {said or done.returncode}")
    return found


def _fault(what: str) -> EnvironmentFault:
    return EnvironmentFault(
        what,
        fix="install a Java runtime, 11 or newer: `apt-get install default-jre-headless`, "
        "`dnf install java-headless` or `brew install openjdk`; or set JAVA_HOME to one",
    )
