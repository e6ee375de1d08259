"""`bessemer predict`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click


@click.command()
@click.argument("package")
@click.argument("data")
@click.option(
    "-o",
    "--output",
    required=True,
    help="A file, a folder (it ends in /), a URL, or a database (with --table).",
)
@click.option("--table", default="", help="The table of a database to append to.")
@click.option("--format", "ending", default="", help="Of a folder's parts: parquet, csv, csv.gz, jsonl...")
@click.option(
    "--part-rows", type=click.IntRange(1), help="Rows of a folder's part; about a million by default."
)
@click.option("--explain", is_flag=True, help="Add the contribution of each column.")
@click.option("--outliers", is_flag=True, help="Add how unusual each row is, from 0 to 1.")
@click.option(
    "--keep", metavar="COLUMN", multiple=True, help="Copy this column of the data; may be repeated."
)
@click.option("--restart", is_flag=True, help="Throw away what a killed or failed call left.")
@click.option("--snapshot", is_flag=True, help="Keep the rows on disk first, so that a kill loses nothing.")
@click.option("--checkpoint", default="1s", show_default=True, help="How often finished rows are made safe.")
@click.option(
    "--work",
    type=click.Path(path_type=Path),
    help="A folder for what is unfinished; the user's cache by default.",
)
@click.option(
    "--batch-rows",
    type=click.IntRange(1),
    default=65_536,
    show_default=True,
    help="Rows in memory at a time.",
)
@click.option("--threads", type=int, help="Threads; all the processors by default.")
@click.option("--key", type=click.Path(path_type=Path), help="A public key file to trust.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def command(
    package: str,
    data: str,
    output: str,
    checkpoint: str,
    threads: int | None,
    key: Path | None,
    as_json: bool,
    **settings: Any,
) -> None:
    """Score DATA with PACKAGE, streaming, any size; what is killed goes on when it is called again.

    DATA is a file, folder, glob or URL of Parquet, CSV or JSON lines, a database's URL, or a source as in the project
    file: '{sql: sqlite:///app.db, table: customers}'.
    """
    import os
    import time

    from bessemer.api import load, predict
    from bessemer.cli._console import print_json

    started = time.perf_counter()
    settings["checkpoint"] = _seconds(checkpoint)
    model = load(package, threads=threads or len(os.sched_getaffinity(0)), key=key)
    with _Bar() as bar:
        done = predict(model, data, output, told=bar.told, **settings)
    took = time.perf_counter() - started
    if as_json:
        print_json(
            {
                "rows": done.rows,
                "taken_over": done.taken_over,
                "output": done.output,
                "resumable": not done.unstable,
                "seconds": took,
                "model": model.name,
                "version": model.version,
            }
        )
        return
    _say(model, done, took)


def _seconds(text: str) -> float:
    from bessemer.core.errors import UsageError
    from bessemer.core.spec import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"--checkpoint: {error}", fix="--checkpoint 1s") from None


class _Bar:
    """A moving count of rows on a terminal; nothing elsewhere."""

    def __enter__(self) -> _Bar:
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        from bessemer.cli._console import err

        rows = TextColumn("{task.description} {task.completed:,.0f} rows")
        columns = (SpinnerColumn(), rows, TimeElapsedColumn())
        self._bars = Progress(*columns, console=err, transient=True, disable=not err.is_terminal)
        self._task = self._bars.add_task("scoring", total=None)
        self._bars.start()
        return self

    def told(self, rows: int, before: bool) -> None:
        if before:
            self._bars.console.print(f"taken over from an earlier call: {rows:,} rows")
        self._bars.advance(self._task, rows)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._bars.stop()
        if kind is KeyboardInterrupt:
            self._bars.console.print("interrupted; run again to go on from where it stopped")
            sys.exit(130)


def _say(model: Any, done: Any, took: float) -> None:
    from bessemer.cli._console import near, out, seconds

    rows = done.rows - done.taken_over
    if not rows and done.taken_over:
        out.print(f"nothing to do: all {done.rows:,} rows were scored before")
    else:
        out.print(f"scored {rows:,} rows with {model.name} {model.version} in {seconds(took)}")
        if done.taken_over:
            out.print(f"with {done.taken_over:,} rows of an earlier call: {done.rows:,} in all")
    if done.unstable:
        out.print(f"a kill would have made it begin anew: {done.unstable}", soft_wrap=True)
    out.print(f"wrote {near(done.output)}", soft_wrap=True)
