"""What goes from a prediction log: days that are too old, and the oldest files where the log is too large."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

from bessemer.package.prediction_log import layout


def retain(folder: Path, keep: float | None, max_disk: int | None, now: float | None = None) -> list[Path]:
    """Delete days older than `keep` seconds, then the oldest files until the log has at most `max_disk` bytes.

    Journals count as part of the log and are never deleted. Gives the deleted files.
    """
    parts = _parts(folder)
    now = time.time() if now is None else now
    first = "" if keep is None or keep > now else layout.day_of(now - keep)
    gone = [part.path for part in parts if part.date < first]
    if max_disk is not None:
        left = [part for part in parts if part.date >= first]
        sizes = {part.path: part.path.stat().st_size for part in left}
        total = sum(sizes.values()) + sum(path.stat().st_size for path in layout.segments(folder))
        for part in left:
            if total <= max_disk:
                break
            total -= sizes[part.path]
            gone.append(part.path)
    for path in gone:
        path.unlink(missing_ok=True)
        with suppress(OSError):  # not empty yet
            path.parent.rmdir()
    return gone


def _parts(folder: Path) -> list[layout.Part]:
    """All finished files of all models, the oldest first."""
    found = []
    for model in layout.models(folder):
        where = folder / layout.folder_name(model)
        names = [*map(layout.folder_name, layout.versions(folder, model)), layout.LABELS]
        found += [part for name in names for part in layout.parts(where / name)]
    return sorted(found, key=lambda part: (part.date, part.segment))
