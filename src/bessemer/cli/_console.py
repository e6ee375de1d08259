"""What commands share: the console, tables, errors, and the live view of a run."""

from __future__ import annotations

import json
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bessemer.core.errors import BessemerError
from bessemer.core.redaction import hidden, hidden_in

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def print_json(value: Any) -> None:
    """One JSON object on standard output, and nothing else there; its texts are without secrets."""
    sys.stdout.write(json.dumps(hidden_in(value), indent=2, ensure_ascii=False, default=str) + "\n")


def show_error(error: BessemerError) -> None:
    """An error in red, its reason and its fix below, and its table where it has one."""
    lines = [_printable(line) for line in str(error).splitlines()]
    err.print(f"[bold red]error[/]: {escape(lines[0])}", soft_wrap=True)
    for line in lines[1:]:
        style = "green" if line.strip().startswith("fix:") else "default"
        err.print(f"[{style}]{escape(line)}[/]", soft_wrap=True)
    rows = getattr(error, "broken", ()) or getattr(error, "failed", ())
    if rows:
        err.print(rows_table(rows))


def _printable(line: str) -> str:
    """Errors quote what others wrote (names of columns, answers of servers): nothing of it may steer the terminal."""
    return "".join(one if one.isprintable() or one == "\t" else "\ufffd" for one in line)


def show_crash(error: BaseException) -> None:
    """A fault of ours: where the details are, and that nothing was lost."""
    with tempfile.NamedTemporaryFile(
        "w", prefix="bessemer-crash-", suffix=".txt", delete=False, encoding="utf-8"
    ) as file:
        file.write(hidden("".join(traceback.format_exception(error))))
    said = hidden(f"{type(error).__name__}: {error}")
    err.print(f"[bold red]internal error[/]: {escape(said)}", soft_wrap=True)
    err.print(
        f"  this is a fault of Bessemer, not of your project; the details are in {file.name}", soft_wrap=True
    )


def rows_table(rows: Sequence[Mapping[str, Any]], *, names: bool = False) -> Table:
    """A table of mappings with the same keys.

    Args:
        names: the keys are names of the user's, as of columns, and stand as they are; else `_` is shown as a blank.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in rows[0]:
        table.add_column(escape(str(name) if names else str(name).replace("_", " ")), overflow="fold")
    for row in rows:
        table.add_row(*(escape(format_value(value)) for value in row.values()))
    return table


def format_value(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: ""}[value]
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list | tuple):
        return ", ".join(map(format_value, value))
    return str(value)


def seconds(value: float) -> str:
    """A duration people read at a glance.

    >>> seconds(0.0123), seconds(12.3), seconds(123)
    ('12 ms', '12.3 s', '2 m 03 s')
    """
    if value < 1:
        return f"{value * 1000:.0f} ms"
    return f"{value:.1f} s" if value < 60 else f"{int(value // 60)} m {int(value % 60):02d} s"


def near(path: Path | str | None) -> str:
    """A path as one would type it from here."""
    if path is None:
        return ""
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except ValueError:
        return str(path)
