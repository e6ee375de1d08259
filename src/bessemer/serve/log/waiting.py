"""Segments that wait for a sink which others do not wait for: `FOLDER/_waiting/SINK/SEGMENT.journal`.

A segment is linked there before the journal lets it go, so it takes no room twice and no kill loses it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from bessemer.package.prediction_log.layout import SEGMENT_SUFFIX

FOLDER = "_waiting"


def waits(folder: Path, sinks: Iterable[str]) -> bool:
    """Whether anything waits for one of these sinks."""
    return any(any((folder / FOLDER / name).glob(f"*{SEGMENT_SUFFIX}")) for name in sinks)


def put(folder: Path, sink: str, segment: Path) -> None:
    """Let a closed segment wait for a sink; nothing happens where it does already."""
    to = folder / FOLDER / sink / segment.name
    to.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(segment, to)
    except FileExistsError:
        return
    except OSError:  # a file system without links, or with few
        aside = to.with_name(f".{to.name}.unfinished")
        shutil.copyfile(segment, aside)
        aside.replace(to)


def waiting(folder: Path, sink: str) -> list[Path]:
    """What waits for a sink, the oldest first."""
    found = []
    for path in (folder / FOLDER / sink).glob(f"*{SEGMENT_SUFFIX}"):
        with suppress(FileNotFoundError):
            found.append((path.stat().st_mtime_ns, path.name, path))
    return [path for _, _, path in sorted(found)]


def cut(folder: Path, sink: str, most: int) -> int:
    """Give up the oldest segments that wait for a sink until at most so many bytes do; gives how many went."""
    paths = waiting(folder, sink)
    total = sum(path.stat().st_size for path in paths)
    gone = 0
    while total > most:
        path = paths[gone]
        total -= path.stat().st_size
        path.unlink()
        gone += 1
    return gone
