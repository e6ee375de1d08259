"""`bessemer serve`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from bessemer.serve.spec import ServeSpec


@click.command()
@click.argument("package")
@click.option("--host", help="The address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=int, help="The port; 0 takes a free one.  [default: 8080]")
@click.option("--threads", type=int, help="How many requests are predicted at the same time.")
@click.option("--explain", type=click.Choice(["on_request", "never", "always"]), help="Whether to explain.")
@click.option("--project", type=click.Path(path_type=Path), help="Take the settings of this project file.")
@click.option("--key", type=click.Path(path_type=Path), help="A public key file to trust.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object when it takes requests.")
def command(package: str, project: Path | None, key: Path | None, as_json: bool, **options: Any) -> None:
    """Serve PACKAGE over HTTP until SIGTERM or Ctrl-C; what is in flight is finished.

    Settings come from the `serve` key of the project file (the nearest one by default), then from the options.
    """
    from bessemer.api import load
    from bessemer.cli._console import out, print_json
    from bessemer.serve.server import serve

    spec = _settings(project, {name: value for name, value in options.items() if value is not None})
    model = load(package, key=key)

    def ready(at: Any) -> None:
        if as_json:
            print_json({"url": at.url, "model": model.name, "version": model.version})
            return
        out.print(f"serving [bold]{model.name} {model.version}[/] on [bold]{at.url}[/]", soft_wrap=True)
        out.print(
            f"  try it   {at.url}/docs\n  health   {at.url}/v2/health/ready\n  stop     Ctrl-C",
            soft_wrap=True,
        )

    serve(model, spec, ready)
    if not as_json:
        out.print("stopped; every request taken was answered")


def _settings(project: Path | None, options: dict[str, Any]) -> ServeSpec:
    """The project file's settings, where there is one, with the options over them."""
    import json

    from pydantic import ValidationError

    from bessemer.core.errors import ProjectError, UsageError
    from bessemer.core.project_file import find
    from bessemer.serve.spec import ServeSpec

    base = ServeSpec()
    try:
        found = find(project or Path())
    except ProjectError:
        if project is not None:
            raise
    else:
        from bessemer.api import Project

        base = Project(found).file.sections["serve"]
    try:
        return ServeSpec.model_validate_json(json.dumps({**base.model_dump(mode="json"), **options}))
    except ValidationError as error:
        item = error.errors()[0]
        raise UsageError(
            f"--{item['loc'][0]} {item['input']}: {item['msg']}", fix="bessemer serve --help"
        ) from None
