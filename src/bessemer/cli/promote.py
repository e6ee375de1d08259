"""`bessemer promote`."""

from __future__ import annotations

from urllib.parse import quote

import click

from bessemer.cli._server import JSON, KEY_ENV, SERVER, show
from bessemer.core.control import ask


@click.command()
@click.argument("model")
@click.argument("version", default="")
@SERVER
@KEY_ENV
@JSON
def command(model: str, version: str, server: str, key_env: str, as_json: bool) -> None:
    """Give VERSION of MODEL all of its requests; without a version the canary, or the one with the smallest share."""
    body = {"version": version}
    show(ask(server, key_env, "POST", f"/deployments/{quote(model, safe='')}/promote", body), as_json)
