"""The tables: what each tool reached and used on a table, and how that stands to Bessemer."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from peers.catalog import TOOLS, Data
from peers.judge import Judge

Row = Mapping[str, Any]
OURS = "bessemer"

#: Heading, the figure of a run, digits after the point. Each is a mean over the seeds; less is better.
COSTS: tuple[tuple[str, Callable[[Row], float | None], int], ...] = (
    ("train s", lambda row: row["fit"]["fit_seconds"], 1),
    ("wall s", lambda row: row["fit"]["wall"], 1),
    ("CPU s", lambda row: row["fit"]["cpu"], 1),
    ("peak MB", lambda row: row["fit"]["peak"] / 1e6, 0),
    ("size MB", lambda row: None if row["fit"]["bytes"] is None else row["fit"]["bytes"] / 1e6, 2),
    ("one row ms", lambda row: row["predict"]["row_ms"], 2),
    ("batch µs/row", lambda row: row["predict"]["batch_us"], 2),
    ("serving MB", lambda row: row["predict"]["peak"] / 1e6, 0),
)


def table(
    data: Data,
    judge: Judge,
    runs: Mapping[str, Sequence[Row]],
    predictions: Mapping[str, Sequence[np.ndarray]],
) -> str:
    """One table in Markdown, the best metric first; a tool without a finished run is not in it.

    Args:
        runs: the finished runs of each tool. predictions: theirs of the test rows, in the same order.
    """
    name = "AUC" if data.kind == "binary" else "RMSE"
    gain = "Bessemer better by, 95 %"
    head = ["", name, "least - most", *([gain] if OURS in runs else []), *(title for title, _, _ in COSTS)]
    lines = []
    for tool in sorted(runs, key=lambda t: _mean(runs[t], _metric), reverse=data.kind == "binary"):
        cells = [TOOLS[tool].title, *_spread(runs[tool], data)]
        if OURS in runs:
            cells.append("" if tool == OURS else _gain(data, judge, predictions[OURS], predictions[tool]))
        cells += [_cost(runs[tool], runs.get(OURS, ()), get, digits) for _, get, digits in COSTS]
        lines.append(cells)
    return f"### {data.name} ({len(judge.y):,} test rows)\n\n{markdown(head, lines)}"


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table whose columns also line up as plain text."""
    rows = [list(head), *(list(row) for row in rows)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    rule = [w * "-" for w in widths]
    lines = [rows[0], rule, *rows[1:]]
    return "\n".join(
        "| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |" for row in lines
    )


def versions(runs: Mapping[str, Sequence[Row]]) -> str:
    """The versions behind each tool."""
    lines = []
    for tool, rows in runs.items():
        shown = ", ".join(f"{k} {v}" for k, v in rows[-1]["fit"]["versions"].items())
        lines.append(f"- {TOOLS[tool].title}: {shown}")
    return "\n".join(lines)


def notes(runs: Mapping[str, Sequence[Row]]) -> str:
    """What the tools say of their first runs."""
    firsts = {tool: rows[0] for tool, rows in runs.items() if rows[0]["fit"].get("note")}
    return "\n".join(
        f"- {TOOLS[tool].title}, seed {row['seed']}: {row['fit']['note']}" for tool, row in firsts.items()
    )


def _metric(row: Row) -> float:
    return float(row["metric"])


def _mean(rows: Sequence[Row], get: Callable[[Row], float | None]) -> float:
    values = [value for row in rows if (value := get(row)) is not None]
    return statistics.fmean(values) if values else float("nan")


def _spread(rows: Sequence[Row], data: Data) -> list[str]:
    """Mean, and least and most, of the metric over the seeds."""
    values = [_metric(row) for row in rows]
    digits = 4 if data.kind == "binary" else 1
    show = [f"{v:,.{digits}f}" for v in (statistics.fmean(values), min(values), max(values))]
    return [show[0], f"{show[1]} - {show[2]}" if len(values) > 1 else ""]


def _gain(data: Data, judge: Judge, ours: Sequence[np.ndarray], theirs: Sequence[np.ndarray]) -> str:
    found = judge.interval(ours, theirs)
    if data.kind == "binary":
        value, low, high = (f"{v:+.4f}" for v in found)
    else:
        value, low, high = (f"{v:+.2%}" for v in found)
    return f"{value} [{low}, {high}]"


def _cost(rows: Sequence[Row], ours: Sequence[Row], get: Callable[[Row], float | None], digits: int) -> str:
    """A mean, and how many times Bessemer's it is."""
    value, base = _mean(rows, get), _mean(ours, get) if ours else float("nan")
    if np.isnan(value):
        return "-"
    shown = f"{value:,.{digits}f}"
    return shown if rows is ours or np.isnan(base) else f"{shown} ({_times(value / base)})"


def _times(ratio: float) -> str:
    return f"{ratio:.0f}x" if ratio >= 10 else f"{ratio:.1f}x" if ratio >= 1 else f"{ratio:.2g}x"
