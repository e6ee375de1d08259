"""`bessemer explain`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click


@click.command()
@click.argument("package")
@click.argument("data", metavar="ROWS")
@click.option("--with", "name", default="", metavar="NAME", help="An explainer; contributions by default.")
@click.option("--row", "asked", type=click.IntRange(0), multiple=True, help="A row, from 0; may be repeated.")
@click.option(
    "--first", type=click.IntRange(1), default=5, show_default=True, help="Rows explained without --row."
)
@click.option("--set", "words", multiple=True, metavar="SETTING=VALUE", help="A setting of the explainer.")
@click.option("--background", metavar="ROWS", help="Rows to take values from, such as the training rows.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of everything drawn at random.")
@click.option("--key", type=click.Path(path_type=Path), help="A public key file to trust.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def command(
    package: str,
    data: str,
    name: str,
    asked: tuple[int, ...],
    first: int,
    words: tuple[str, ...],
    background: str | None,
    seed: int,
    key: Path | None,
    as_json: bool,
) -> None:
    """Say why PACKAGE predicts what it predicts for ROWS: a file of Parquet, CSV, JSON or JSON lines.

    Without --with it shows what each column added to the score. Explainers: lime, anchors, counterfactuals, influence,
    prototypes, and those of all rows.
    """
    from bessemer.api import explain, load
    from bessemer.cli._console import print_json
    from bessemer.cli._explained import show

    model = load(package, key=key)
    settings = _settings(name, words)
    most = max([first, *(row + 1 for row in asked)])
    found = explain(
        model,
        data,
        name,
        settings=settings,
        asked=asked or None,
        background=background,
        most=most if _of_rows(name) else max(most, 2000),
        first=first,
        seed=seed,
    )
    if as_json:
        print_json(found.to_json())
        return
    show(found.to_json(), package, data)


def _of_rows(name: str) -> bool:
    """Whether the explainer is of single rows, so that no others need be read."""
    from bessemer.explain.plugins import EXPLAINERS

    if name not in EXPLAINERS:
        return True
    return EXPLAINERS.load(name).kind in ("attributions", "rules", "counterfactuals", "influence")


def _settings(name: str, words: Sequence[str]) -> dict[str, Any]:
    """The settings in `a=1 b=x,y`, each of the type that the explainer has for it.

    >>> _settings("counterfactuals", ["immutable=age, sex", "count=2", "wanted=> 10"])
    {'immutable': ['age', 'sex'], 'count': 2, 'wanted': '> 10'}
    """
    from bessemer.core.errors import UsageError
    from bessemer.explain.plugins import EXPLAINERS

    fields = EXPLAINERS.load(name).Settings.model_fields if name in EXPLAINERS else {}
    found: dict[str, Any] = {}
    for word in words:
        key, sign, value = word.partition("=")
        if not sign:
            raise UsageError(f"--set {word}: no value is given", fix=f"--set {word}=VALUE")
        found[key.strip()] = _value(value.strip(), fields.get(key.strip()))
    return found


def _value(text: str, field: Any) -> Any:
    """A text as a list of texts, a text, or whatever YAML reads in it."""
    from typing import get_args, get_origin

    import yaml

    kind = field.annotation if field is not None else None
    kinds = [kind, *get_args(kind)]
    if any(get_origin(one) in (list, tuple) or one in (list, tuple) for one in kinds):
        if text.startswith("["):
            return yaml.safe_load(text)
        return [part.strip() for part in text.split(",") if part.strip()]
    if any(one is str or isinstance(one, str) for one in kinds):
        return text
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text
