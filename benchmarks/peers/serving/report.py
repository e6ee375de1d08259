"""The tables: a cell of the comparison each, the least CPU first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from peers.report import markdown
from peers.serving.catalog import PEERS

Row = Mapping[str, Any]

#: Heading, the figure of a row, digits after the point.
FIGURES: tuple[tuple[str, Callable[[Row], float | None], int], ...] = (
    ("CPU µs/request", lambda row: row.get("cpu_us"), 0),
    ("requests/s", lambda row: row.get("per_second"), 0),
    ("p50 ms", lambda row: row.get("p50"), 2),
    ("p95 ms", lambda row: row.get("p95"), 2),
    ("p99 ms", lambda row: row.get("p99"), 2),
    ("RSS MB", lambda row: row["rss"] / 1e6 if "rss" in row else None, 0),
    ("PSS MB", lambda row: row["pss"] / 1e6 if "pss" in row else None, 0),
    ("failed", lambda row: row.get("failed"), 0),
)


def tables(rows: Sequence[Row], cells: Sequence[str]) -> str:
    """Markdown: one table a cell, then those at half capacity, then what failed and the versions."""
    parts = []
    for half in (False, True):
        for cell in cells:
            found = [
                r for r in rows if r["cell"] == cell and "error" not in r and bool(r.get("half")) is half
            ]
            if any(row["server"] for row in found):
                parts.append(_table(cell + (", at half of its own capacity" if half else ""), found, half))
    failed = [
        f"- {_title(row)}, {row['cell'] or 'start'}: {row['error'][-1500:]}" for row in rows if "error" in row
    ]
    versions = dict.fromkeys(
        f"{row['version']} (ready in {row['start_s']} s)" for row in rows if "version" in row
    )
    return "\n\n".join([*parts, "\n".join(["Failed:", *failed]) if failed else "", ", ".join(versions)])


def _table(title: str, rows: Sequence[Row], half: bool) -> str:
    head = [title, *(["offered/s"] if half else []), *(name for name, _, _ in FIGURES)]
    lines = []
    for row in sorted(rows, key=lambda row: row.get("cpu_us") or float("inf")):
        offered = [f"{row['rate']:,.0f}"] if half else []
        lines.append([_title(row), *offered, *(_shown(get(row), digits) for _, get, digits in FIGURES)])
    return markdown(head, lines)


def _title(row: Row) -> str:
    if not row["server"]:
        return f"the model call alone, {row['form']}"
    peer = PEERS[row["server"]]
    return f"{peer.title}, {row['form']}" if len(peer.json) > 1 and row["form"] else peer.title


def _shown(value: float | None, digits: int) -> str:
    return "-" if value is None or value != value else f"{value:,.{digits}f}"
