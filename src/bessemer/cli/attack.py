"""`bessemer attack`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click


@click.command()
@click.argument("model", metavar="PACKAGE_OR_URL")
@click.option("--data", required=True, help="Rows with the right answers: any source that a project takes.")
@click.option("--target", "-y", default="", help="The column of the right answers.  [default: the package's]")
@click.option(
    "--attack",
    "attacks",
    multiple=True,
    metavar="NAME",
    help="One of the attacks, or '{name: {setting: value}}'; may be repeated.  [default: all that fit]",
)
@click.option(
    "--rows", type=click.IntRange(1), default=100, show_default=True, help="Rows that are attacked."
)
@click.option(
    "--budget", "budgets", type=float, multiple=True, help="How far a row may be moved; may be repeated."
)
@click.option(
    "--constraints", type=click.Path(path_type=Path), help="A YAML file of what may change of a column."
)
@click.option(
    "--questions", type=click.IntRange(1), default=10_000, show_default=True, help="Of a server: rows in all."
)
@click.option(
    "--per-second",
    type=click.FloatRange(0, min_open=True),
    default=100.0,
    show_default=True,
    help="Of a server: rows a second.",
)
@click.option("--dialect", default="", help="Of a server: plain, v1, v2 or mlflow.  [default: by its path]")
@click.option("--key-env", default="", help="The environment variable that has the key for the server.")
@click.option(
    "--header",
    "headers",
    multiple=True,
    metavar="NAME=VARIABLE",
    help="A header of each request, from an environment variable; may be repeated.",
)
@click.option("--timeout", default="30s", show_default=True, help="For each request.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of everything that is drawn at random.")
@click.option("--key", type=click.Path(path_type=Path), help="A public key file to trust for a package.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def command(
    model: str, data: str, target: str, attacks: tuple[str, ...], as_json: bool, **options: Any
) -> None:
    """Attack a package, or a model on a server that is asked and nothing else; without a project.

    Ask only servers that you may attack: each row of each attack is a request to them, within --questions and
    --per-second.
    """
    from bessemer.api.attacking import Asking, attack
    from bessemer.cli._console import print_json
    from bessemer.core.secrets import secret
    from bessemer.package.remote.client import Door

    key = secret(options["key_env"], "the key for the server") if options["key_env"] else ""
    door = Door(options["dialect"], key, _seconds(options["timeout"]), _headers(options["headers"]))
    with _Told() as told:
        found = attack(
            model,
            data,
            target,
            attacks=_asked(attacks, options["budgets"], model),
            asking=Asking(door, options["questions"], options["per_second"]),
            seed=options["seed"],
            key=options["key"],
            rows=options["rows"],
            constraints=_constraints(options["constraints"]),
            emit=told,
        )
    if as_json:
        print_json(found)
        return
    _show(found)


class _Told:
    """Progress on a terminal, and warnings anywhere, on standard error."""

    def __enter__(self) -> _Told:
        from rich.progress import Progress

        from bessemer.cli._console import err

        self._bars = Progress(console=err, transient=True, disable=not err.is_terminal)
        self._tasks: dict[str, Any] = {}
        self._bars.start()
        return self

    def __call__(self, kind: str, what: Mapping[str, Any]) -> None:
        if kind == "warning":
            self._bars.console.print(what["text"], soft_wrap=True, markup=False)
        if kind == "progress":
            name = what["what"]
            if name not in self._tasks:
                self._tasks[name] = self._bars.add_task(name, total=what["total"])
            self._bars.update(self._tasks[name], completed=what["done"])

    def __exit__(self, *_: object) -> None:
        self._bars.stop()


def _asked(attacks: Sequence[str], budgets: Sequence[float], model: str) -> list[dict[str, Any]]:
    """The attacks by their names, each with the budgets where it has none of its own."""
    from bessemer.attack.plugins import ATTACKS
    from bessemer.core.errors import UsageError

    named = [_yaml(text, "--attack") for text in attacks]
    if not named and budgets:
        remote = model.startswith(("http://", "https://"))
        named = [name for name in ATTACKS if not ATTACKS.ref(name).missing() and _takes(name, remote)]
    found: list[dict[str, Any]] = []
    for one in named:
        given = {one: {}} if isinstance(one, str) else one
        if not isinstance(given, dict):
            raise UsageError(f"--attack {one}: it is no name", fix="--attack '{square: {steps: 100}}'")
        found += [{str(name): _with(str(name), settings or {}, budgets)} for name, settings in given.items()]
    return found


def _takes(name: str, remote: bool) -> bool:
    from bessemer.attack.plugins import ATTACKS

    kind: Any = ATTACKS.load(name)
    return "budgets" in kind.Settings.model_fields and (not remote or hasattr(kind, "ASKS"))


def _with(name: str, settings: Any, budgets: Sequence[float]) -> Any:
    if not budgets or not isinstance(settings, dict):
        return settings
    return {"budgets": list(budgets), **settings}


def _yaml(text: str, option: str) -> Any:
    import yaml

    from bessemer.core.errors import UsageError

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UsageError(f"{option} {text} cannot be read", why=str(error).splitlines()[0]) from None


def _constraints(path: Path | None) -> Any:
    from bessemer.core.errors import UsageError

    if path is None:
        return {}
    try:
        return _yaml(path.read_text(encoding="utf-8"), "--constraints") or {}
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the constraints '{path}'", why=str(error)) from None


def _headers(given: Sequence[str]) -> dict[str, str]:
    from bessemer.core.errors import UsageError
    from bessemer.core.secrets import secret

    found = {}
    for text in given:
        name, sign, variable = text.partition("=")
        if not sign or not name.strip() or not variable:
            raise UsageError(f"--header {text}: write NAME=VARIABLE", fix="--header x-api-key=SHOP_KEY")
        found[name.strip()] = secret(variable, f"the header '{name.strip()}'")
    return found


def _show(found: Mapping[str, Any]) -> None:
    from rich.markup import escape

    from bessemer.cli._console import out, rows_table

    out.print(f"attacked {escape(found['target'])}: {found['rows']} rows", soft_wrap=True)
    for name, one in found["attacks"].items():
        if "refused" in one:
            out.print(f"\n[bold]{escape(name)}[/]  left out: {escape(one['refused'])}", soft_wrap=True)
            continue
        unit = f", by {one['unit']}" if one["unit"] else ""
        out.print(f"\n[bold]{escape(name)}[/]  {escape(one['measure'])}{escape(unit)}", soft_wrap=True)
        if one["curve"]:
            rows = [_row(point) for point in one["curve"]]
            names = dict.fromkeys(name for row in rows for name in row)
            out.print(rows_table([{name: row.get(name, "") for name in names} for row in rows]))
        for note in one["notes"]:
            out.print(f"  {escape(note)}", soft_wrap=True)
    if "asked" in found:
        out.print(f"\nthe server was asked for {found['asked']:,} rows", soft_wrap=True)
    out.print(
        "\nnext: `attack: {gates: ...}` in the project file holds a model to what it must withstand",
        soft_wrap=True,
    )


def _row(point: Mapping[str, Any]) -> dict[str, str]:
    more = {name: f"{value:,.4g}" for name, value in point["more"].items()}
    return {
        "budget": "" if point["budget"] is None else f"{point['budget']:g}",
        "value": f"{point['value']:.1%}",
        "interval": f"{point['low']:.1%} to {point['high']:.1%}",
        **more,
    }


def _seconds(text: str) -> float:
    from bessemer.core.errors import UsageError
    from bessemer.core.spec import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"--timeout: {error}", fix="--timeout 30s") from None
