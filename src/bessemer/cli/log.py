"""`bessemer log`."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import pyarrow as pa


@click.command()
@click.argument("model_or_dir", metavar="MODEL_OR_DIR")
@click.option("--folder", type=click.Path(path_type=Path), help="The log's folder, where a model is named.")
@click.option("--version", help="Only predictions of this version.")
@click.option("--since", metavar="WHEN", help="Only since then: 2026-01-31, 2026-01-31T12:00, or 2h, 7d ago.")
@click.option("--limit", type=click.IntRange(min=1), help="How many, the newest first.  [default: 20]")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Write all of them to a .parquet or .csv file."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines.")
def command(
    model_or_dir: str,
    folder: Path | None,
    version: str | None,
    since: str | None,
    limit: int | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """Show the last predictions that were served, with the labels that came later.

    MODEL_OR_DIR is a model's name (its log is where the project file's `serve: log:` says), or a log's folder.
    """
    from bessemer.package.prediction_log.read import read_log

    where, model = _place(model_or_dir, folder)
    newest = limit if limit or output else 20
    rows = read_log(where, model, version=version, since=moment_of(since), newest=newest)
    if output is not None:
        _write(rows, output)
    elif as_json:
        _print_lines(rows)
    else:
        _show(rows, model)


def _place(model_or_dir: str, folder: Path | None) -> tuple[Path, str]:
    """The log's folder and the model."""
    from urllib.parse import unquote

    from bessemer.core.errors import UsageError
    from bessemer.package.prediction_log import layout

    given = Path(model_or_dir)
    if folder is not None or not given.is_dir():
        return folder or _configured(), model_or_dir
    if (given.parent / layout.JOURNALS).is_dir():
        return given.parent, unquote(given.name)
    there = layout.models(given) if (given / layout.JOURNALS).is_dir() else []
    if len(there) == 1:
        return given, there[0]
    raise UsageError(
        f"{given} has the log of {len(there)} models" if there else f"{given} is no prediction log",
        fix=f"name one of {', '.join(there)}: bessemer log MODEL --folder {given}"
        if there
        else "name a model, or the folder of a log",
    )


def _configured() -> Path:
    """The folder that the nearest project file names, or the default one."""
    from bessemer.core.errors import ProjectError
    from bessemer.core.project_file import find
    from bessemer.serve.log.spec import LogSpec

    try:
        found = find(Path())
    except ProjectError:
        return Path(LogSpec().folder)
    from bessemer.api import Project

    said = getattr(Project(found).file.sections["serve"], "log", None)
    return Path((said or LogSpec()).folder)


def moment_of(text: str | None) -> dt.datetime | float | None:
    from bessemer.core.errors import UsageError
    from bessemer.core.spec import parse_duration

    if text is None:
        return None
    try:
        return dt.datetime.fromisoformat(text)
    except ValueError:
        pass
    try:
        return dt.datetime.now(dt.UTC).timestamp() - parse_duration(text)
    except ValueError:
        raise UsageError(
            f"--since {text} is no time", fix="write 2026-01-31, 2026-01-31T12:00, 2h or 7d"
        ) from None


def _write(rows: pa.RecordBatchReader, output: Path) -> None:
    from bessemer.cli._console import near, out
    from bessemer.core.errors import UsageError
    from bessemer.core.store import replacing

    if output.suffix not in (".parquet", ".csv"):
        raise UsageError(f"{output} is neither .parquet nor .csv", fix="-o predictions.parquet")
    count = 0
    with replacing(output) as path, _writer(path, rows.schema) as writer:
        for batch in rows:
            writer.write_batch(batch)
            count += batch.num_rows
    out.print(f"wrote {count:,} predictions to {near(output)}", soft_wrap=True)


def _writer(path: Path, schema: pa.Schema) -> Any:
    import pyarrow.csv
    import pyarrow.parquet

    if path.suffix == ".csv":
        return pyarrow.csv.CSVWriter(path, schema)
    return pyarrow.parquet.ParquetWriter(path, schema, compression="zstd")


def _print_lines(rows: pa.RecordBatchReader) -> None:
    import json

    import pyarrow.types as types

    from bessemer.package.prediction_log.moments import iso, rows_of

    times = [field.name for field in rows.schema if types.is_timestamp(field.type)]
    for batch in rows:
        for row in rows_of(batch):
            moments = {name: iso(row[name]) for name in times}
            click.echo(json.dumps({**row, **moments}, ensure_ascii=False))


def _show(rows: pa.RecordBatchReader, model: str) -> None:
    from bessemer.cli._console import out, rows_table

    found = rows.read_all()
    if not found.num_rows:
        out.print(f"no prediction of {model} is logged for that time")
        return
    shown = [n for n in found.column_names if not n.startswith("in.") and n not in ("dialect", "label_time")]
    inputs = [name for name in found.column_names if name.startswith("in.")]
    records = found.select(shown).to_pylist()
    for record in records:
        record["time"] = record["time"].isoformat(" ", "milliseconds")
    out.print(rows_table(records, names=True))
    out.print(f"\nand {len(inputs)} inputs; all columns: [bold]bessemer log {model} --json[/]")
