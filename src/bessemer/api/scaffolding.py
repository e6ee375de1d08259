"""The first project file, from what the data looks like."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

from bessemer.api.execution import plan_of
from bessemer.api.project import Project
from bessemer.core import project_file
from bessemer.core.errors import ProjectError
from bessemer.core.runner import Runner
from bessemer.core.store import write_atomic
from bessemer.core.table import upstream
from bessemer.flow import STAGES


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
    with tempfile.NamedTemporaryFile("w", dir=place, suffix=".yaml", encoding="utf-8") as file:
        json.dump({"name": name, "data": data, "target": target}, file)
        file.flush()
        project = Project(file.name)
        try:
            raw = Runner(plan_of(project, upstream(STAGES, "acquire"), frozenset()), project.store).run()[
                "raw"
            ]
        except ProjectError as error:
            raise ProjectError(error.faults, "--target") from None
    parquet = project.store.get(raw).path("data.parquet")
    rows, columns = made.look(parquet)
    text = made.project_text(name, data, target, rows, columns, made.classes(parquet, target))
    write_atomic(path, text.encode("utf-8"))
    return path
