"""`bessemer optimize`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from bessemer.optimize.choose import Tried


@click.command()
@click.argument("package")
@click.option(
    "--out", "-o", type=click.Path(path_type=Path), help="The child's file.  [default: beside PACKAGE]"
)
@click.option("--data", help="Rows to try it on, with right answers if there are any: any source.")
@click.option(
    "--way",
    "ways",
    multiple=True,
    metavar="NAME",
    help="What to try, or '{name: {setting: value}}'; may be repeated.",
)
@click.option("--loss", default="1%", show_default=True, help="What may be lost, at most.")
@click.option(
    "--changed",
    help="The share of rows that may be answered otherwise.  [default: 5% of classes judged by right answers]",
)
@click.option(
    "--batch",
    type=click.Choice(["1", "64"]),
    default="1",
    show_default=True,
    help="Requests that are to be quick.",
)
@click.option(
    "--metric", default="", help="What right answers are judged by.  [default: the task's usual one]"
)
@click.option("--version", default="", help="The child's version.  [default: the parent's with .opt]")
@click.option("--seed", type=int, default=0, show_default=True, help="Of everything that is drawn at random.")
@click.option("--key", type=click.Path(path_type=Path), help="A public key file to trust for the package.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def command(
    package: str, ways: tuple[str, ...], loss: str, batch: str, as_json: bool, **options: Any
) -> None:
    """Try quicker and smaller versions of PACKAGE, measure each, and sign the best one as its child.

    The quickest is taken whose loss is at most --loss: with 95 % confidence, however many were tried.
    """
    from bessemer.api.optimizing import optimize
    from bessemer.cli._console import print_json
    from bessemer.cli._progress import Lines

    with Lines() as tell:
        made = optimize(
            package,
            options["out"],
            data=options["data"],
            ways=_ways(ways),
            loss=_share(loss, "--loss"),
            changed=None if options["changed"] is None else _share(options["changed"], "--changed"),
            batch=int(batch),
            metric=options["metric"],
            version=options["version"],
            seed=options["seed"],
            key=options["key"],
            tell=tell,
        )
    if as_json:
        print_json({"package": str(made.path), "bytes": made.size, "rows": made.text, **made.told})
        return
    _show(made)


def _ways(given: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    import yaml

    from bessemer.core.errors import UsageError

    found: dict[str, dict[str, Any]] = {}
    for text in given:
        try:
            said = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise UsageError(f"--way {text} cannot be read", why=str(error).splitlines()[0]) from None
        if not isinstance(said, str | dict):
            raise UsageError(f"--way {text}: it is no name", fix="--way '{student: {trees: [100]}}'")
        for name, settings in {said: {}}.items() if isinstance(said, str) else said.items():
            found[str(name)] = settings or {}
    return found


def _share(text: str, option: str) -> float:
    from bessemer.core.errors import UsageError
    from bessemer.core.spec import parse_share

    try:
        return parse_share(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}", fix=f"{option} 1%") from None


def _show(made: Any) -> None:
    from rich.markup import escape

    from bessemer.cli._console import out, rows_table
    from bessemer.optimize.measure import Setting

    found = made.found
    front = {id(one) for one in found.front}
    out.print(f"tried on {found.taken.loss.rows} {escape(made.text)}\n", soft_wrap=True)
    shown = [one for one in found.tried if one.setting == Setting() or one is found.taken or id(one) in front]
    out.print(rows_table([_row(one, id(one) in front, one is found.taken) for one in shown]))
    out.print("\n* nothing else is better in everything", soft_wrap=True)
    out.print(str(found.limits), soft_wrap=True)
    for name, why in found.refused.items():
        out.print(f"[dim]{escape(name)}: {escape(why)}[/]", soft_wrap=True)
    if found.taken is found.tried[0]:
        out.print(
            "\n[yellow]no version is quicker within the loss that is allowed[/]: the child computes as its parent"
        )
        if (least := found.limits.floor) > min(found.limits.most, found.limits.changed):
            out.print(
                f"So few rows cannot exclude a loss of {least:.2%}: give more with --data", soft_wrap=True
            )
    said = escape(f"{found.taken.variant.name}, {found.taken.setting}")
    out.print(f"\ntaken: [bold]{said}[/]\n{escape(str(made.path))}  {made.size:,} bytes", soft_wrap=True)
    out.print(f"next: [bold]bessemer predict {escape(str(made.path))} ROWS[/]", soft_wrap=True)


def _row(one: Tried, front: bool, taken: bool) -> dict[str, str]:
    loss = one.loss
    row = {
        " ": "→" if taken else "*" if front else "",
        "version": one.variant.name,
        "run with": str(one.setting),
        "graph": f"{one.cost.bytes / 1024:,.0f} kB",
        "load": f"{one.cost.load_ms:,.1f} ms",
        "1 row": f"{one.cost.micros[1]:,.0f} µs",
        "64 rows": f"{one.cost.micros[64]:,.0f} µs",
        "answered otherwise": "never" if one.variant.same else f"{loss.other:.2%} (≤ {loss.other_high:.2%})",
    }
    if loss.worse is not None and loss.worse_high is not None:
        row[loss.metric] = f"{loss.after:.4g}"
        row["worse by"] = f"{loss.worse + 0.0:.2%} (≤ {loss.worse_high:.2%})"
    return row
