"""`bessemer deploy`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bessemer.cli._server import JSON, KEY_ENV, SERVER, show
from bessemer.core.control import ask
from bessemer.core.errors import UsageError


@click.command()
@click.argument("package")
@click.option("--split", metavar="SHARE", help="Give it this share of the requests, beside the others (A/B).")
@click.option(
    "--canary",
    metavar="SHARES",
    help="The same on trial: 10%, or 5%,25%,50% one after the other, until it is promoted.",
)
@click.option("--shadow", is_flag=True, help="Let it see the requests and answer nobody.")
@click.option(
    "--requests", type=int, help="Of a canary: requests it must answer before it is judged.  [default: 1000]"
)
@click.option("--seconds", help="Of a canary: how long a step lasts at least, as 60s or 10m.  [default: 60s]")
@click.option(
    "--error-rate", help="Of a canary: how much higher its share of failures may be.  [default: 1%]"
)
@click.option(
    "--latency", type=float, help="Of a canary: how many times the other's p95 is allowed.  [default: 1.5]"
)
@click.option(
    "--metric",
    type=click.Choice(["accuracy", "mae"]),
    help="Of a canary: compare this, once labels come back.",
)
@click.option("--worse-by", help="Of a canary: by how much the metric may be worse.  [default: 2%]")
@click.option("--labels", type=int, help="Of a canary: labels that the metric needs.  [default: 200]")
@SERVER
@KEY_ENV
@JSON
def command(
    package: str,
    split: str | None,
    canary: str | None,
    shadow: bool,
    server: str,
    key_env: str,
    as_json: bool,
    **gates: Any,
) -> None:
    """Give a running server PACKAGE. Without an option it takes all requests of its model, and no request is lost.

    The path is read by the server: it must be one that the server's machine has.
    """
    if sum((split is not None, canary is not None, shadow)) > 1:
        raise UsageError("--split, --canary and --shadow exclude each other")
    body: dict[str, Any] = {"package": package if "://" in package else str(Path(package).resolve())}
    if split is not None:
        body |= {"mode": "split", "weight": split}
    elif shadow:
        body |= {"mode": "shadow"}
    elif canary is not None:
        body |= {"mode": "canary", "steps": [part.strip() for part in canary.split(",")]}
        body["gates"] = {name: value for name, value in gates.items() if value is not None}
    show(ask(server, key_env, "POST", "/deployments", body), as_json)
