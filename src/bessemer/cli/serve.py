"""`bessemer serve`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from bessemer.serve.spec import ServeSpec


@click.command()
@click.argument("packages", nargs=-1)
@click.option("--host", help="The address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=int, help="The port; 0 takes a free one.  [default: 8080]")
@click.option("--grpc-port", type=int, help="The port for gRPC; 0 takes a free one.  [default: no gRPC]")
@click.option("--workers", type=int, help="How many processes serve.  [default: one a core]")
@click.option("--threads", type=int, help="How many slow requests a process predicts at the same time.")
@click.option("--explain", type=click.Choice(["on_request", "never", "always"]), help="Whether to explain.")
@click.option("--state", help="The folder that keeps what is deployed over a restart.")
@click.option("--project", type=click.Path(path_type=Path), help="Take the settings of this project file.")
@click.option(
    "--key", "keys", type=click.Path(path_type=Path), multiple=True, help="A public key file to trust."
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object when it takes requests.")
def command(
    packages: tuple[str, ...], project: Path | None, keys: tuple[Path, ...], as_json: bool, **options: Any
) -> None:
    """Serve PACKAGES over HTTP until SIGTERM or Ctrl-C; what is in flight is finished.

    The first package answers where a request names no model. Settings come from the `serve` key of the project file
    (the nearest one by default), then from the options.
    """
    from bessemer.cli._console import out, print_json
    from bessemer.core.errors import UsageError
    from bessemer.package.keys import read_public, trusted_keys
    from bessemer.serve.containers import from_environment
    from bessemer.serve.supervisor import Supervisor

    given = {name: value for name, value in options.items() if value is not None}
    container = from_environment() if not packages and "state" not in given else None
    if container is not None:  # started by SageMaker or Vertex AI as `docker run IMAGE serve`
        packages, given = container.sources, {**container.settings, **given}
    if "state" in given:
        given["state"] = str(Path(given["state"]).resolve())
    spec, folder = _settings(project, given)
    if not packages and spec.state is None and container is None:
        raise UsageError(
            "there is nothing to serve", fix="bessemer serve PACKAGE, or --state FOLDER of an earlier server"
        )
    trust = [*trusted_keys(), *(read_public(key) for key in keys)] if keys else None

    def ready(at: Any, models: list[list[str]]) -> None:
        if as_json:
            grpc = {"grpc": at.grpc} if at.grpc else {}
            first = dict(zip(("model", "version"), models[0], strict=True)) if models else {}
            listed = [{"model": name, "version": version} for name, version in models]
            print_json({"url": at.url, **grpc, **first, "models": listed})
            return
        names = ", ".join(f"[bold]{name} {version}[/]" for name, version in models) or "no model yet"
        out.print(f"serving {names} on [bold]{at.url}[/]", soft_wrap=True)
        lines = [
            f"try it   {at.url}/docs",
            f"health   {at.url}/v2/health/ready",
            f"metrics  {at.url}/metrics",
        ]
        lines += [f"gRPC     {at.grpc}"] if at.grpc else []
        if spec.ownership is not None:
            lines.append(
                f"marked   {spec.ownership.share:.2%} of rows are answered with a wrong class, on purpose"
            )
        out.print("".join(f"  {line}\n" for line in [*lines, "stop     Ctrl-C"]), soft_wrap=True, end="")

    Supervisor(packages, spec, trust, folder).run(ready)
    if not as_json:
        out.print("stopped; every request taken was answered")


def _settings(project: Path | None, options: dict[str, Any]) -> tuple[ServeSpec, Path]:
    """The project file's settings, where there is one, with the options over them; and the folder of their paths."""
    import json

    from pydantic import ValidationError

    from bessemer.core.errors import ProjectError, UsageError
    from bessemer.core.project_file import find
    from bessemer.serve.spec import ServeSpec

    base, folder = ServeSpec(), Path()
    try:
        found = find(project or Path())
    except ProjectError:
        if project is not None:
            raise
    else:
        from bessemer.api import Project

        base, folder = Project(found).file.sections["serve"], Path(found).parent
    try:
        spec = ServeSpec.model_validate_json(json.dumps({**base.model_dump(mode="json"), **options}))
    except ValidationError as error:
        item = error.errors()[0]
        # what does not go together is of no one setting
        where = (
            f"--{item['loc'][0]} {item['input']}: " if item["loc"] else "the settings do not go together: "
        )
        raise UsageError(
            f"{where}{item['msg'].removeprefix('Value error, ')}", fix="bessemer serve --help"
        ) from None
    if spec.ownership is not None:
        from bessemer.package.answer_key import mark_key

        key = (folder / spec.ownership.key).absolute()
        mark_key(key)  # one that cannot be read is told now, not by each process
        spec = spec.model_copy(update={"ownership": spec.ownership.model_copy(update={"key": str(key)})})
    return spec, folder
