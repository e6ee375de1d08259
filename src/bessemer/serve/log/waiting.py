"""Segments that wait for a sink which others do not wait for: `FOLDER/_waiting/SINK/SEGMENT.journal`.

A segment is linked there before the journal lets it go, so it takes no room twice and no kill loses it. One that the
sink will never take becomes `SEGMENT.aside`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from bessemer.package.prediction_log.layout import SEGMENT_SUFFIX

FOLDER = "_waiting"
ASIDE_SUFFIX = ".aside"


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


def waiting(folder: Path, sink: str, suffixes: Iterable[str] = (SEGMENT_SUFFIX,)) -> list[Path]:
    """What waits for a sink, the oldest first."""
    found = []
    for path in (path for suffix in suffixes for path in (folder / FOLDER / sink).glob(f"*{suffix}")):
        with suppress(FileNotFoundError):
            found.append((path.stat().st_mtime_ns, path.name, path))
    return [path for _, _, path in sorted(found)]


def set_aside(segment: Path) -> Path:
    """Let a segment that its sink will never take wait no longer; gives where it is kept."""
    aside = segment.with_suffix(ASIDE_SUFFIX)
    segment.replace(aside)
    return aside


def lock_of(sink: str) -> str:
    """The lock of the one process that delivers to a sink, in the log's folder. It says what is being sent."""
    return f"{FOLDER}/{sink}/.lock"


def say_sent(folder: Path, sink: str, name: str) -> None:
    """Say which segment is being sent, so that `cut` leaves it; a full disk keeps none from being sent."""
    with suppress(OSError):
        (folder / lock_of(sink)).write_text(name, "utf-8")


def cut(folder: Path, sink: str, most: int) -> int:
    """Give up the oldest segments of a sink until it has at most so many bytes; gives how many went.

    One that is being sent stays. Those that were set aside count, and go, as those that wait.
    """
    sizes: dict[Path, int] = {}
    for path in waiting(folder, sink, (SEGMENT_SUFFIX, ASIDE_SUFFIX)):
        with suppress(FileNotFoundError):  # delivered meanwhile
            sizes[path] = path.stat().st_size
    total, gone = sum(sizes.values()), 0
    sent = _sent(folder, sink) if total > most else ""
    for path, size in sizes.items():
        if total <= most:
            break
        if path.name == sent:
            continue
        total -= size
        with suppress(FileNotFoundError):
            path.unlink()
            gone += 1
    return gone


def _sent(folder: Path, sink: str) -> str:
    try:
        return (folder / lock_of(sink)).read_text("utf-8")
    except FileNotFoundError:
        return ""
