"""Rows from anywhere, landed as a project would land them."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from bessemer.api.execution import plan_of
from bessemer.api.project import Project
from bessemer.core.artifact import Artifact
from bessemer.core.errors import ProjectError
from bessemer.core.runner import Runner
from bessemer.core.table import upstream
from bessemer.flow import STAGES


def landed(name: str, data: str, target: str, place: Path) -> Artifact:
    """What `data` names as an artifact `raw`, in a store below `place`: all columns are of the five types.

    Raises:
        ProjectError: there is no such target. DataError: the data cannot be read.
    """
    with tempfile.NamedTemporaryFile("w", dir=place, suffix=".yaml", encoding="utf-8") as file:
        json.dump({"name": name, "data": data, "target": target}, file)
        file.flush()
        project = Project(file.name)
        try:
            runner = Runner(plan_of(project, upstream(STAGES, "acquire"), frozenset()), project.store)
            return project.store.get(runner.run()["raw"])
        except ProjectError as error:
            raise ProjectError(error.faults, "--target") from None
