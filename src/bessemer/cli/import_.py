"""`bessemer import`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from bessemer.api import Imported, ImportedModel


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--from", "tool", default="", metavar="TOOL", help="ludwig or igel; found from the file's keys."
)
@click.option("--data", default="", help="Where the data is: a file, folder, glob or URL.")
@click.option("--target", default="", metavar="COLUMN", help="Of a model: the column that it predicts.")
@click.option("--name", default="", help="Of a model: the package's name; the file's by default.")
@click.option("--columns", default="", metavar="A,B,C", help="Of a model: its columns, in its order.")
@click.option("--classes", default="", metavar="A,B", help="Of a model: its classes, in its order.")
@click.option(
    "--scores",
    type=click.Choice(["logits", "probabilities", "values"]),
    default=None,
    help="Of an ONNX model: what its numbers are, where the graph does not say so.",
)
@click.option(
    "--signature",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    help="Of a model: a file that says its columns, target and classes (YAML, JSON).",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    help="What to write: bessemer.yaml by default, or NAME.bsm of a model.",
)
@click.option("--force", is_flag=True, help="Replace what is there.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def command(
    file: Path,
    tool: str,
    data: str,
    target: str,
    name: str,
    columns: str,
    classes: str,
    scores: str | None,
    signature: Path | None,
    output: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Turn FILE into one of ours: a project file of Ludwig or igel into a bessemer.yaml, a trained model (LightGBM,
    XGBoost, CatBoost, skops, safetensors, ONNX, PMML, Keras, TorchScript, torch.export, a SavedModel or MLflow folder)
    into a signed package.

    With --data and --target a model is evaluated, explained and profiled as well.
    """
    from bessemer.api import is_model

    if not tool and is_model(file):
        said: dict[str, Any] = {"target": target, "columns": _list_of(columns), "classes": _list_of(classes)}
        said |= {"name": name, "scores": scores or "", "signature": signature or ""}
        _model(file, data, output, said, force=force, as_json=as_json)
    else:
        if given := _given(
            target=target, name=name, columns=columns, classes=classes, scores=scores, signature=signature
        ):
            raise click.UsageError(f"--{given} is for models, and {file} is none that can be imported")
        _project(file, tool, data, output or Path("bessemer.yaml"), force=force, as_json=as_json)


def _given(**options: object) -> str:
    """The first option that was given."""
    return next((name for name, value in options.items() if value), "")


def _list_of(text: str) -> list[str]:
    return [one.strip() for one in text.split(",")] if text else []


def _project(file: Path, tool: str, data: str, output: Path, *, force: bool, as_json: bool) -> None:
    from bessemer.api import import_project
    from bessemer.cli._console import near, out, print_json

    done = import_project(file, tool=tool, data=data, output=output, force=force)
    if as_json:
        print_json(done.to_json())
        return
    out.print(f"wrote {near(done.path)}", soft_wrap=True, markup=False)
    _list(done)
    project = (
        "" if done.path.name == "bessemer.yaml" and not done.path.parent.parts else f" {near(done.path)}"
    )
    out.print(f"\nnext: read it, then [bold]bessemer run{project}[/]", soft_wrap=True)


def _model(
    file: Path,
    data: str,
    output: Path | None,
    said: dict[str, Any],
    *,
    force: bool,
    as_json: bool,
) -> None:
    from bessemer.api import import_model
    from bessemer.cli._console import err, out, print_json
    from bessemer.cli._live import view

    with view(err if as_json else out, as_json) as sink:
        done = import_model(
            file,
            data=data,
            output=output or "",
            force=force,
            sinks=[sink],
            **said,
        )
    if as_json:
        print_json(done.to_json())
    else:
        _tell(done)


def _tell(done: ImportedModel) -> None:
    """What the package is, what it lacks, and what comes next."""
    from rich.markup import escape

    from bessemer.cli._console import near, out

    signature, package = done.signature, near(done.path)
    classes = f": {', '.join(map(str, signature.classes))}" if signature.classes else ""
    out.print(f"wrote {package}, from {done.form}", soft_wrap=True, markup=False)
    said = f"  {signature.task} of {signature.target}{classes}; {len(signature.inputs)} columns"
    out.print(escape(said), soft_wrap=True)
    for note in done.notes:
        out.print(f"  note: {escape(note)}", soft_wrap=True)
    if done.run is not None and done.run.metric in done.run.metrics:
        figure = done.run.metrics[done.run.metric]
        shown = f"{figure['value']:.4f} [{figure['low']:.4f}, {figure['high']:.4f}]"
        out.print(escape(f"  {done.run.metric} {shown} on rows of the data"), soft_wrap=True)
    if done.lacks:
        out.print("\n[bold]it does not say[/], as nobody has shown it data:")
        for what in done.lacks.values():
            out.print(f"  {escape(what)}", soft_wrap=True)
        out.print("  `--data rows.parquet --target COLUMN` finds it out", soft_wrap=True)
    out.print(
        f"\nnext: [bold]bessemer verify {escape(package)}[/], [bold]bessemer serve {escape(package)}[/]",
        soft_wrap=True,
    )


def _list(done: Imported) -> None:
    """Each setting with its lines, its value, what became of it and why."""
    from rich.markup import escape

    from bessemer.cli._console import out
    from bessemer.importers.findings import grouped, show

    for title, rows in (
        ("nearly the same", [row for row in done.findings if row.became]),
        ("without counterpart", [row for row in done.findings if not row.became]),
    ):
        groups = grouped(rows)
        if groups:
            out.print(f"\n[bold]{title}: {len(groups)}[/]")
        for group in groups:
            row = group.finding
            became = f" -> [green]{escape(row.became)}[/]" if row.became else ""
            out.print(f"  {escape(row.path)}: {escape(show(row.value))}{became}", soft_wrap=True)
            nearest = f"; nearest: {row.nearest}" if row.nearest else ""
            out.print(f"    [dim]{escape(f'{group.where}: {row.why}{nearest}')}[/]", soft_wrap=True)
