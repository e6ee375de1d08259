"""The package that is served now, and the run of the project that made it."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from bessemer.core.artifact import ArtifactRef
from bessemer.core.errors import UsageError

if TYPE_CHECKING:
    from bessemer.api import Project
    from bessemer.core.run import Run


def run_of(project: Project, package: Path) -> Run:
    """The run that made a package, which says what the model has trained on.

    Raises:
        UsageError: no run in the project's store made it.
    """
    data = package.read_bytes()
    for run in project.runs():
        made = _made(run)
        if "package" not in made or run.package is None or run.package.name != package.name:
            continue
        artifact = project.store.get(ArtifactRef("package", made["package"]))
        if any(artifact.path(name).read_bytes() == data for name in artifact.files):
            return run
    raise UsageError(
        f"no run of this project made {package.name}",
        why="which rows it has trained on stands in the project's store, and new models are compared on others",
        fix="serve a package that `bessemer run` made here, or name it: --champion FILE",
    )


def latest_package(project: Project, lost: Collection[Path]) -> Path:
    """The package of the newest run that made one.

    Args:
        lost: packages that were made again and were not to be served.

    Raises:
        UsageError: there is none.
    """
    for run in project.runs():
        made = run.package if run.status == "done" else None
        if made is not None and made.is_file() and made.resolve() not in lost:
            return made
    raise UsageError("there is no package yet to train again", fix="bessemer run, then serve what it made")


def _made(run: Run) -> dict[str, str]:
    return {name: digest for stage in run.stages for name, digest in stage.outputs.items()}
