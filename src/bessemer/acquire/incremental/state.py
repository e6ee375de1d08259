"""What is kept of an incremental source between runs: its rows in one Parquet file, and how far they go.

    rows-<digest>.parquet   all rows, merged
    state.json              which file that is, and the position; it is replaced in one move, after the file is there

So a kill leaves the rows and the position of the same reading, the one before or the new one. The folder may be
deleted at any time: then everything is read again.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bessemer.core import canonical
from bessemer.core.store import file_digest, replacing, write_atomic

#: Raise it where what is written here changes its meaning: everything is then read again.
FORMAT = 1


@dataclass(frozen=True)
class State:
    """One reading that was finished.

    identity: of the settings it was made with. digest: sha256 of the file. columns: pairs of a name and whether it has
    a type, in order. names: of the columns as the source has them.
    position: as `position.to_json` gives it. full: when everything was read, ISO 8601 in UTC.
    """

    identity: str
    digest: str
    columns: Sequence[tuple[str, bool]]
    names: Sequence[str]
    position: Mapping[str, Any] | None
    full: str
    format: int = FORMAT


def forget_all_but(root: Path, sources: Iterable[str]) -> None:
    """Remove what is kept of sources that are not read incrementally any more."""
    current = {folder_name(source) for source in sources}
    for folder in root.iterdir() if root.is_dir() else ():
        if folder.name not in current:
            shutil.rmtree(folder, ignore_errors=True)


def folder_name(source: str) -> str:
    return hashlib.sha256(source.encode()).hexdigest()[:16]


class Kept:
    """What is kept of one source, in a folder of its own in `root`."""

    def __init__(self, root: Path, source: str) -> None:
        self.folder = root / folder_name(source)

    def rows(self, state: State) -> Path:
        return self.folder / f"rows-{state.digest}.parquet"

    def read(self, identity: str) -> tuple[State | None, str]:
        """The last reading, or why there is none to go on from."""
        try:
            value = json.loads((self.folder / "state.json").read_bytes())
        except FileNotFoundError:
            return None, "nothing is kept of what was read before"
        except ValueError:
            return None, "the note of what was read before is damaged"
        if not isinstance(value, dict) or value.get("format") != FORMAT:
            return None, "what was read before is of another version of Bessemer"
        if value["identity"] != identity:
            return None, "its settings have changed"
        state = State(**{**value, "columns": tuple((name, typed) for name, typed in value["columns"])})
        path = self.rows(state)
        if not path.is_file() or file_digest(path)[0] != state.digest:
            return None, "the rows that were read before are lost or damaged"
        return state, ""

    def forget(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def write(self, made: Path, state: State) -> Path:
        """Keep a reading: the file `made` is moved to its place, and whatever was here before goes."""
        target = self.rows(state)
        with replacing(target) as temporary:
            shutil.move(made, temporary)
        write_atomic(self.folder / "state.json", canonical.dump_bytes(asdict(state)))
        for path in self.folder.iterdir():
            if path.name not in (target.name, "state.json"):
                path.unlink(missing_ok=True)
        return target
