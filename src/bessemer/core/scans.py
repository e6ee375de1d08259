"""What scans of this package's files found, kept for the next process: a file is parsed again only when it changes.

It is one file an installation, in the user's cache folder, and of no value of its own: where it cannot be read or
written, or is damaged, files are parsed.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from pathlib import Path

from bessemer.core import canonical, code
from bessemer.core.errors import StoreError
from bessemer.core.store import write_atomic


def known() -> dict[str, str]:
    """What earlier scans found: `code.code_of` takes it and adds to it."""
    try:
        found = json.loads(_file().read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {file: scan for file, scan in found.items() if isinstance(scan, str) and scan.count("|") == 2}


def keep(scans: Mapping[str, str]) -> None:
    """Keep what scans found; of a file that changed only the newest."""
    newest = {key.partition("|")[0]: key for key in scans}
    kept = {key: scans[key] for key in newest.values()}
    try:
        file = _file()
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(file, canonical.dump_bytes(kept))
    except (OSError, StoreError):
        return


def _file() -> Path:
    """The file of this installation, this Python and this way to scan."""
    import platformdirs

    scanner = Path(code.__file__).read_bytes().hex()
    name = canonical.digest([str(code.ROOT), platform.python_version(), scanner])[:24]
    return Path(platformdirs.user_cache_dir("bessemer")) / "code" / f"{name}.json"
