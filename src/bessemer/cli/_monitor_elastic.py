"""`bessemer monitor elastic`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


@click.command("elastic")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Write all of it as files below DIR.",
)
@click.option(
    "--apply", "url", metavar="URL", help="Put templates and policies into the Elasticsearch at URL."
)
@click.option("--prefix", default="bessemer", help="How the names of indices begin.  [default: bessemer]")
@click.option("--api-key-env", metavar="VARIABLE", help="The environment variable with an API key.")
@click.option("--username", help="Or a user's name.")
@click.option(
    "--password-env", metavar="VARIABLE", help="The environment variable with that user's password."
)
@click.option("--ca", metavar="FILE", help="Certificates to trust, in PEM.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def elastic_command(output: Path | None, url: str | None, as_json: bool, **settings: Any) -> None:
    """Make Elasticsearch and Kibana ready for the prediction log and for findings.

    What it makes: policies of index lifecycle management, component and index templates, and a dashboard. It may be
    done again: what is there is replaced by the same.
    """
    from bessemer.core.errors import UsageError

    if (output is None) == (url is None):
        raise UsageError("say where it goes", fix="-o DIR, or --apply URL")
    if output is not None:
        _write(output, settings["prefix"], as_json)
    else:
        _apply({**settings, "url": url}, as_json)


def _write(folder: Path, prefix: str, as_json: bool) -> None:
    from bessemer.cli._console import near, out, print_json
    from bessemer.core.errors import EnvironmentFault
    from bessemer.monitor.elastic.files import KIBANA, write

    try:
        paths = write(folder, prefix)
    except OSError as error:
        raise EnvironmentFault(
            f"cannot write below {folder}", why=str(error), fix="name another folder"
        ) from error
    if as_json:
        print_json({"files": [str(path) for path in paths]})
        return
    for path in paths:
        out.print(near(path), soft_wrap=True)
    out.print(
        f"\nnext: in Kibana, Stack Management, Saved Objects, Import: {near(folder / KIBANA)}", soft_wrap=True
    )


def _apply(settings: dict[str, Any], as_json: bool) -> None:
    from bessemer.cli._console import err, out, print_json
    from bessemer.core.elastic.login import connect
    from bessemer.core.elastic.setup import set_up

    place = _place(settings)
    done = set_up(connect(place.url, place, 30.0), place.prefix)
    if as_json:
        print_json({"put": done.put, "lifecycle": done.lifecycle})
        return
    for name in done.put:
        out.print(f"[green]✓[/] {name}", soft_wrap=True)
    if not done.lifecycle:
        err.print("this server has no index lifecycle management: old indices stay until you delete them")
    out.print("\nnext: [bold]bessemer monitor elastic -o DIR[/] for Kibana's dashboard")


def _place(settings: dict[str, Any]) -> Any:
    from pydantic import ValidationError

    from bessemer.core.elastic.login import ElasticIndices
    from bessemer.core.errors import UsageError

    try:
        return ElasticIndices.model_validate(
            {name: value for name, value in settings.items() if value is not None}
        )
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise UsageError(f"wrong settings: {faults.replace('_', '-')}") from None
