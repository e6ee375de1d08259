"""The first project file, from what the data looks like."""

from __future__ import annotations

import os
from pathlib import Path

from bessemer.api.landing import landed
from bessemer.core import project_file
from bessemer.core.store import write_atomic


def scaffold(name: str, *, data: str, target: str, folder: str | Path = ".", overwrite: bool = False) -> Path:
    """Write a commented project file from what the data looks like, and give its path.

    The data is landed in the project's store on the way, so the first run finds it there.

    Raises:
        UsageError: the name cannot be one, or a project file is there already.
        ProjectError: the data has no such target.
        DataError: the data cannot be read.
    """
    from bessemer import scaffold as made

    place = Path(folder)
    path = place / project_file.FILE
    made.check(name, path, overwrite=overwrite)
    place.mkdir(parents=True, exist_ok=True)
    if "://" not in data and not Path(data).is_absolute():
        data = os.path.relpath(data, place)
    parquet = landed(name, data, target, place).path("data.parquet")
    rows, columns = made.look(parquet)
    text = made.project_text(name, data, target, rows, columns, made.classes(parquet, target))
    write_atomic(path, text.encode("utf-8"))
    return path
