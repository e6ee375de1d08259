"""Project files of other tools, turned into ours."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bessemer.api.shorthand import expand
from bessemer.core import project_file
from bessemer.core.errors import EnvironmentFault, Fault, ProjectError, UsageError
from bessemer.core.store import write_atomic
from bessemer.flow import sections

if TYPE_CHECKING:
    from bessemer.importers.findings import Finding


@dataclass(frozen=True)
class Imported:
    """A project file that was written from another tool's, and what could not be kept.

    tool: `ludwig` or `igel`. findings: in the order of the tool's file; those that became something are
    approximate, the others have no counterpart.
    """

    path: Path
    tool: str
    target: str
    findings: tuple[Finding, ...]

    def to_json(self) -> dict[str, Any]:
        from bessemer.importers.findings import plain

        return {
            "project": str(self.path),
            "tool": self.tool,
            "target": self.target,
            "approximate": plain(row for row in self.findings if row.became),
            "without_counterpart": plain(row for row in self.findings if not row.became),
        }


def import_project(
    file: str | Path,
    *,
    tool: str = "",
    data: str = "",
    output: str | Path = project_file.FILE,
    force: bool = False,
) -> Imported:
    """Turn the project file of another tool (Ludwig, igel) into one of ours.

    Args:
        file: Ludwig's config, or igel's file, YAML or JSON.
        tool: `ludwig` or `igel`; found from the file's keys by default.
        data: where the data is, if the tool's file does not say it: a file, folder, glob or URL.
        output: the project file to write.
        force: replace a project file that is there.

    Raises:
        ProjectError: the tool's file cannot be read, has faults, or says nothing that can run here.
        UsageError: a project file is there already, or it is not said where the data is or which tool this is.
    """
    from bessemer.importers.translate import translate

    path = Path(output)
    if path.exists() and not force:
        raise UsageError(f"{path} is there already", fix="give --force to replace it, or --output FILE")
    made = translate(Path(file), tool=tool, data=data, folder=path.parent)
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as trial:
        trial.write(made.text)
        trial.flush()
        try:
            project_file.load(Path(trial.name), sections(), partial(expand, folder=path.parent))
        except ProjectError as error:
            named = (
                "--data" if data and {fault.path for fault in error.faults} == {"data"} else Path(file).name
            )
            raise ProjectError([Fault(f.path, None, f.what, f.fix) for f in error.faults], named) from None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentFault(f"cannot write {path}: {error.strerror}", fix="--output FILE") from None
    write_atomic(path, made.text.encode("utf-8"))
    return Imported(path, made.tool, made.target, made.findings)
