"""Talking to a running server about its deployments."""

from __future__ import annotations

from typing import Any

import click

SERVER = click.option(
    "--server", default="http://127.0.0.1:8080", show_default=True, help="The address of the server."
)
KEY_ENV = click.option(
    "--key-env",
    default="BESSEMER_SERVER_KEY",
    show_default=True,
    help="The environment variable that has the key with the scope admin.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")


def show(found: dict[str, Any], as_json: bool) -> None:
    """Print what is deployed."""
    from bessemer.cli._console import out, print_json, rows_table

    if as_json:
        print_json(found)
        return
    rows = []
    for name, model in found["models"].items():
        for version, each in model["versions"].items():
            done = each["statistics"] or {}
            rows.append(
                {
                    "model": name,
                    "version": version,
                    "share": "shadow" if each["role"] == "shadow" else f"{each['share']:.0%}",
                    "labels": ", ".join(each["labels"]),
                    "requests": done.get("requests", ""),
                    "failed": done.get("failed", ""),
                    "differs": _difference(each.get("difference")),
                }
            )
    out.print(rows_table(rows) if rows else "nothing is deployed")
    for name, model in found["models"].items():
        if model["canary"]:
            out.print(f"{name} {model['canary']['version']} is on trial", soft_wrap=True)
        if model["verdict"]:
            out.print(f"{name}: {model['verdict']}", soft_wrap=True)


def _difference(found: dict[str, Any] | None) -> str:
    if not found or not found["rows"]:
        return ""
    return f"{found['flips']} of {found['rows']} rows flip, {found['mean']:.3g} on average"
