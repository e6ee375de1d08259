"""`bessemer deployments`."""

from __future__ import annotations

import click

from bessemer.cli._server import JSON, KEY_ENV, SERVER, show
from bessemer.core.control import ask


@click.command()
@SERVER
@KEY_ENV
@JSON
def command(server: str, key_env: str, as_json: bool) -> None:
    """Show what a running server serves: versions, their shares of the requests, figures, canaries, shadows."""
    show(ask(server, key_env, "GET", "/deployments"), as_json)
