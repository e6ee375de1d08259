"""`bessemer data log`, `show` and `diff`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

PROJECT = click.option(
    "--project", type=click.Path(path_type=Path), default=Path(), help="The project file or its folder."
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.command("log")
@click.option(
    "--limit", type=click.IntRange(1), default=20, show_default=True, help="How many, the newest first."
)
@PROJECT
@JSON
def log_command(limit: int, project: Path, as_json: bool) -> None:
    """List the snapshots, the newest first, with what changed from one to the next."""
    from rich.markup import escape

    from bessemer.api import Project
    from bessemer.cli._console import out, print_json

    entries = Project(project).snapshots.log()[:limit]
    if as_json:
        print_json(entries)
        return
    if not entries:
        out.print("nothing has landed yet; next: [bold]bessemer run[/]")
        return
    table = _table("snapshot", "landed", "run", "rows", "changed", "contract", "")
    for entry in entries:
        table.add_row(
            _called(entry),
            _time(entry["time"]),
            entry["run"],
            f"{entry['rows']:,}",
            escape(_changed(entry["changed"], len(entry["columns"]))),
            _contract(entry["contract"]),
            "" if entry["kept"] else "[dim]removed[/]",
        )
    out.print(table)
    hint = "data diff previous latest" if len(entries) > 1 else f"data show {entries[0]['snapshot']}"
    out.print(f"\nnext: [bold]bessemer {hint}[/]")


@click.command("show")
@click.argument("ref", default="latest")
@click.option("--rows", type=click.IntRange(0, 1000), default=5, show_default=True, help="How many rows.")
@PROJECT
@JSON
def show_command(ref: str, rows: int, project: Path, as_json: bool) -> None:
    """Show the snapshot REF (the latest by default): sources, columns, statistics, first rows.

    REF is a version (v3), a name, latest, previous, latest~2, a run, or the beginning of a digest.
    """
    from bessemer.api import Project
    from bessemer.cli._console import out, print_json
    from bessemer.core.canonical import plain

    found = Project(project).snapshots.show(ref, rows=rows)
    if as_json:
        print_json(plain(found))
        return
    facts = f"{found['rows']:,} rows, landed {_time(found['time'])} by run {found['run']}"
    out.print(f"[bold]{_called(found)}[/]  {facts}")
    out.print(f"digest [dim]{found['digest']}[/]", soft_wrap=True)
    if found["contract"]:
        out.print(f"contract {_contract(found['contract'])}")
    out.print()
    out.print(_sources(found["sources"]))
    out.print()
    out.print(_statistics(found["statistics"]))
    if found["first"]:
        out.print()
        out.print(_rows(found["first"]))
    out.print(f"\nnext: [bold]bessemer run --data {found['snapshot']}[/]")


@click.command("diff")
@click.argument("a", default="previous")
@click.argument("b", default="latest")
@click.option("--key", metavar="COLUMNS", default="", help="Columns that tell rows apart, as id or id,day.")
@PROJECT
@JSON
def diff_command(a: str, b: str, key: str, project: Path, as_json: bool) -> None:
    """Compare the snapshots A and B (`previous` and `latest` by default): columns, rows, statistics.

    With --key rows are followed: what was added, removed and changed. Without, whole rows are counted.
    """
    from bessemer.api import Project
    from bessemer.cli._console import out, print_json
    from bessemer.core.canonical import plain

    names = [name.strip() for name in key.split(",") if name.strip()]
    found = Project(project).snapshots.diff(a, b, key=names)
    if as_json:
        print_json(plain(found))
        return
    before, after, rows = found["a"], found["b"], found["rows"]
    out.print(f"[bold]{_called(before)}[/] {_time(before['time'])}, {rows['before']:,} rows")
    out.print(f"[bold]{_called(after)}[/] {_time(after['time'])}, {rows['after']:,} rows")
    _print_columns(found["columns"])
    counts = [f"{rows[kind]:,} {kind}" for kind in ("added", "removed", "changed", "same") if kind in rows]
    out.print(f"\nrows: {', '.join(counts)}")
    if changed := found.get("changed_columns"):
        shown = sorted(changed.items(), key=lambda item: -item[1])
        out.print("changed: " + ", ".join(f"{name} {n:,}" for name, n in shown), markup=False)
    _print_samples(found["samples"])
    _print_moved(found["moved"])
    if "changed" not in rows and (rows["added"] or rows["removed"]):
        out.print("\nnext: [bold]bessemer data diff --key COLUMN[/] tells changed rows from new ones")
    else:
        out.print(f"\nnext: [bold]bessemer run --data {before['snapshot']}[/]")


def _table(*columns: str) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in columns:
        table.add_column(
            name, justify="right" if name == "rows" else "left", no_wrap=name in ("run", "landed")
        )
    return table


def _called(entry: Mapping[str, Any]) -> str:
    """
    >>> _called({"snapshot": "v3", "names": ["clean"]})
    'v3 (clean)'
    """
    names = ", ".join(entry["names"])
    return f"{entry['snapshot']} ({names})" if names else str(entry["snapshot"])


def _time(text: str) -> str:
    return text.replace("T", " ").removesuffix("+00:00")


def _changed(changed: Mapping[str, Any] | None, columns: int) -> str:
    """
    >>> _changed({"rows": -2, "columns": {"added": ["x"], "removed": [], "retyped": {}}, "sources": ["a"]}, 3)
    '-2 rows, +x; a'
    """
    if changed is None:
        return f"{columns:,} columns"
    parts = [f"{changed['rows']:+,} rows"] if changed["rows"] else []
    names = changed["columns"]
    parts += [f"+{name}" for name in names["added"]] + [f"-{name}" for name in names["removed"]]
    parts += [f"{name} {old} -> {new}" for name, (old, new) in names["retyped"].items()]
    shown = ", ".join(parts[:6]) + (f" and {len(parts) - 6} more" if len(parts) > 6 else "")
    return "; ".join(part for part in (shown, ", ".join(changed["sources"])) if part) or "values"


def _contract(contract: Mapping[str, Any]) -> str:
    """
    >>> _contract({"status": "kept", "quarantined": 0}), _contract({"status": "kept", "quarantined": 7})
    ('kept', 'kept, 7 rows set aside')
    """
    if not contract:
        return ""
    aside = f", {contract['quarantined']:,} rows set aside" if contract.get("quarantined") else ""
    return f"{contract['status']}{aside}"


def _sources(sources: Mapping[str, Mapping[str, Any]]) -> Any:
    from rich.markup import escape

    table = _table("source", "kind", "from", "rows", "position")
    for name, source in sources.items():
        position = source.get("position")
        shown = f"{position['cursor']} {position['at']}" if position else ""
        rows = f"{source['rows']:,}" if "rows" in source else ""
        table.add_row(*map(escape, (name, source["kind"], source["uri"], rows, shown)))
    return table


def _statistics(found: Mapping[str, Mapping[str, Any]]) -> Any:
    from rich.markup import escape

    from bessemer.cli._console import format_value

    table = _table("column", "type", "missing", "distinct", "low", "high", "mean", "deviation")
    for name, facts in found.items():
        cells = [format_value(facts.get(what)) for what in ("low", "high", "mean", "deviation")]
        missing = f"{facts['missing']:.2%}" if facts["missing"] else ""
        table.add_row(escape(name), facts["dtype"], missing, f"~{facts['distinct']:,}", *cells)
    return table


def _print_columns(columns: Mapping[str, Any]) -> None:
    from bessemer.cli._console import out

    lines = [f"+ {name}" for name in columns["added"]] + [f"- {name}" for name in columns["removed"]]
    lines += [f"~ {name}: {old} -> {new}" for name, (old, new) in columns["retyped"].items()]
    out.print("\ncolumns: " + ("the same" if not lines else ""))
    for line in lines:
        out.print(f"  {line}", markup=False)


def _print_samples(samples: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    from bessemer.cli._console import format_value, out

    for kind, rows in samples.items():
        if not rows:
            continue
        if kind == "changed":
            rows = [
                {n: " -> ".join(map(format_value, v)) if isinstance(v, list) else v for n, v in row.items()}
                for row in rows
            ]
        out.print(f"\n[bold]{kind}[/]")
        out.print(_rows(rows))


def _rows(rows: Sequence[Mapping[str, Any]]) -> Any:
    """Rows of the data, under the names of their columns as they are."""
    from rich.markup import escape

    from bessemer.cli._console import format_value

    table = _table(*map(escape, rows[0]))
    for row in rows:
        table.add_row(*(escape(format_value(value)) for value in row.values()))
    return table


def _print_moved(moved: Sequence[Mapping[str, Any]]) -> None:
    from bessemer.cli._console import out, rows_table

    if moved:
        out.print("\n[bold]statistics that moved[/]")
        out.print(rows_table(moved))
