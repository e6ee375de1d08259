"""`bessemer schema`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write it to this file.")
@click.option("--json", "as_json", is_flag=True, help="As it is anyway; for the sake of sameness.")
def command(output: Path | None, as_json: bool) -> None:
    """Print the JSON Schema of the project file, for editors.

    With the YAML extension of most editors, this first line of a project file turns on completion and checks:

    # yaml-language-server: $schema=bessemer.schema.json
    """
    import json

    from bessemer.api import schema
    from bessemer.cli._console import out, print_json
    from bessemer.core.store import write_atomic

    if output is None:
        print_json(schema())
        return
    write_atomic(output, (json.dumps(schema(), indent=2) + "\n").encode())
    out.print(f"wrote {output}")
    out.print(
        f"next: put [bold]# yaml-language-server: $schema={output}[/] on top of bessemer.yaml", soft_wrap=True
    )
