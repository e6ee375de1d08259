"""`bessemer monitor rules`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("rules")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("operations"),
    help="The folder they are written into.  [default: operations]",
)
def rules_command(output: Path) -> None:
    """Write Prometheus rules, a route for Alertmanager and a dashboard for Grafana, from `monitor: slo`."""
    from bessemer.cli._console import out
    from bessemer.cli.monitor import _settings
    from bessemer.core.errors import EnvironmentFault
    from bessemer.monitor.rules.write import write
    from bessemer.monitor.slo import never_alerts

    spec, _ = _settings({})
    try:
        paths = write(spec, output)
    except OSError as error:
        raise EnvironmentFault(
            f"cannot write into '{output}'",
            why=error.strerror or str(error),
            fix="name another folder: -o FOLDER",
        ) from error
    for path in paths:
        out.print(str(path), soft_wrap=True, highlight=False)
    if spec.slo is None:
        out.print(
            "There are no objectives: `monitor: {slo: {availability: 99.9%}}` adds them.", soft_wrap=True
        )
    else:
        for words in never_alerts(spec.slo).values():
            out.print(f"{words}.", soft_wrap=True, highlight=False)
