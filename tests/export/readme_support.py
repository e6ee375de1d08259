"""What a README says is run as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from bessemer.export.protocol import Source
from bessemer.package.model import Model


def run_readme(kind: type, model: Model, folder: Path, python: Path | str = sys.executable) -> str:
    """Export, and run the Python in the usage there; what it printed.

    Args:
        kind: a target. python: the one of the runtime's environment.
    """
    folder.mkdir(parents=True)
    usage = kind(kind.Settings()).export(Source(model), folder)  # type: ignore[attr-defined]
    (code,) = re.findall(r"```python\n(.*?)```", usage, re.DOTALL)
    done = subprocess.run([str(python), "-c", code], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
