"""`bessemer rollback`."""

from __future__ import annotations

from urllib.parse import quote

import click

from bessemer.cli._server import JSON, KEY_ENV, SERVER, show
from bessemer.core.control import ask


@click.command()
@click.argument("model")
@SERVER
@KEY_ENV
@JSON
def command(model: str, server: str, key_env: str, as_json: bool) -> None:
    """Go back to what served before the last change of MODEL. A second rollback goes forth again."""
    show(ask(server, key_env, "POST", f"/deployments/{quote(model, safe='')}/rollback", {}), as_json)
