"""`bessemer predict`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("package")
@click.argument("data")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, help="A .parquet or .csv file."
)
@click.option("--explain", is_flag=True, help="Add the contribution of each column.")
@click.option(
    "--keep", metavar="COLUMN", multiple=True, help="Copy this column of the data; may be repeated."
)
@click.option("--batch-rows", default=65_536, show_default=True, help="Rows in memory at a time.")
@click.option("--threads", type=int, help="Threads; all the processors by default.")
@click.option("--key", type=click.Path(path_type=Path), help="A public key file to trust.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object.")
def command(
    package: str,
    data: str,
    output: Path,
    explain: bool,
    keep: tuple[str, ...],
    batch_rows: int,
    threads: int | None,
    key: Path | None,
    as_json: bool,
) -> None:
    """Score DATA (Parquet, CSV or JSON lines; a file, folder or glob) with PACKAGE, streaming, any size."""
    import os
    import time

    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from bessemer.api import load
    from bessemer.cli._console import err, near, out, print_json, seconds
    from bessemer.package.score import predict_file

    started = time.perf_counter()
    model = load(package, threads=threads or len(os.sched_getaffinity(0)), key=key)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description} {task.completed:,.0f} rows"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bars:
        task = bars.add_task("scoring", total=None)
        rows = predict_file(
            model,
            data,
            output,
            explain=explain,
            keep=keep,
            batch_rows=batch_rows,
            progress=lambda n: bars.advance(task, n),
        )
    took = time.perf_counter() - started
    if as_json:
        print_json(
            {
                "rows": rows,
                "output": str(output),
                "seconds": took,
                "model": model.name,
                "version": model.version,
            }
        )
        return
    out.print(f"scored {rows:,} rows with {model.name} {model.version} in {seconds(took)}")
    out.print(f"wrote {near(output)}", soft_wrap=True)
