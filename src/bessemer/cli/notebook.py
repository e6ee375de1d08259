"""`bessemer notebook`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("run", default="latest")
@click.option(
    "--project", type=click.Path(path_type=Path), default=Path(), help="The project file or its folder."
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="The file to write; PROJECT.ipynb by default."
)
@click.option("--force", is_flag=True, help="Replace a notebook that is there.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def command(run: str, project: Path, output: Path | None, force: bool, as_json: bool) -> None:
    """Write a notebook that starts from the data and the model of RUN (the latest by default)."""
    from bessemer.api import Project
    from bessemer.cli._console import near, out, print_json
    from bessemer.core.errors import EnvironmentFault, UsageError
    from bessemer.core.store import write_atomic

    loaded = Project(project)
    path = output or Path(f"{loaded.name}.ipynb")
    if path.exists() and not force:
        raise UsageError(
            f"{path} is there already, perhaps with your work", fix="give --force to replace it, or -o FILE"
        )
    text = loaded.notebook(run, beside=path.parent)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentFault(f"cannot write {path}: {error.strerror}", fix="-o FILE") from None
    write_atomic(path, text.encode("utf-8"))
    if as_json:
        print_json({"notebook": str(path), "run": loaded.show(run).id})
        return
    out.print(near(path), soft_wrap=True)
    out.print(f"\nnext: [bold]jupyter lab {near(path)}[/]", soft_wrap=True)
