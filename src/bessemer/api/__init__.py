"""The Python door: projects, runs and packages."""

from __future__ import annotations

from typing import Any

from bessemer.api.attacking import attack
from bessemer.api.execution import BUILD, STATE
from bessemer.api.importing import Imported, ImportedModel, import_model, import_project, is_model
from bessemer.api.packages import explain, load, predict, verify
from bessemer.api.project import Project
from bessemer.api.scaffolding import scaffold
from bessemer.core import project_file
from bessemer.flow import sections

__all__ = [
    "BUILD",
    "STATE",
    "Imported",
    "ImportedModel",
    "Project",
    "attack",
    "explain",
    "import_model",
    "import_project",
    "is_model",
    "load",
    "predict",
    "scaffold",
    "schema",
    "verify",
]


def schema() -> dict[str, Any]:
    """The JSON Schema of the project file, for editors.

    >>> "target" in schema()["required"]
    True
    """
    return project_file.json_schema(sections())
